//! What the system knows of this process. Linux says it in `/proc/self`; elsewhere these metrics are missing.

use std::{fs, time::SystemTime};

use super::{Exposition, Kind};

/// Clock ticks of a second, in which Linux counts the time of a process for programs.
const TICKS: u64 = 100;

/// CPU, memory, files and start, under the names that Prometheus' own libraries use.
pub fn write_process(metrics: &mut Exposition, started: SystemTime) {
    let started = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let help = "When the process began, in seconds since 1970.";
    metrics.single("process_start_time_seconds", Kind::Gauge, help, started.as_secs_f64());
    let read = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    if let Some(ticks) = cpu_ticks(&read("stat")) {
        let seconds = super::seconds(ticks * (1_000_000 / TICKS));
        metrics.single("process_cpu_seconds_total", Kind::Counter, "Time of the processors.", seconds);
    }
    let status = read("status");
    if let Some(kilobytes) = number_behind(&status, "VmRSS:") {
        metrics.single("process_resident_memory_bytes", Kind::Gauge, "Memory in use.", kilobytes * 1_024);
    }
    if let Some(threads) = number_behind(&status, "Threads:") {
        metrics.single("process_threads", Kind::Gauge, "Threads.", threads);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        metrics.single("process_open_fds", Kind::Gauge, "Open files, connections among them.", files.count());
    }
    if let Some(most) = number_behind(&read("limits"), "Max open files") {
        metrics.single("process_max_fds", Kind::Gauge, "Files that may be open.", most);
    }
}

/// User and system time of `/proc/self/stat`. The second field is the name of the program, in brackets, and may have spaces.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// The first number behind a name that begins a line. `None` where it is no number, as `unlimited`.
fn number_behind(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_the_files_of_linux() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 4 0 1 1 1 1";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(number_behind("Name:\tx\nVmRSS:\t   123 kB\n", "VmRSS:"), Some(123));
        assert_eq!(
            number_behind("Max open files            1024                 4096    files\n", "Max open files"),
            Some(1_024)
        );
        assert_eq!(number_behind("Max open files            unlimited\n", "Max open files"), None);
        assert_eq!((cpu_ticks(""), number_behind("", "VmRSS:")), (None, None));
    }
}
