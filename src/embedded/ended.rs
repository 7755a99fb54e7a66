//! A run of the server that ended: whether it had worked, what its log says, and what a person can do about it.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::Path,
    process::ExitStatus,
    time::{Duration, Instant},
};

use super::{EmbeddedError, folder::Folder};

/// The end of a log that is looked at.
const LOG_BYTES_MAX: u64 = 65_536;
const LINE_CHARS_MAX: usize = 400;
/// A server that lived so long has worked, where its log says nothing: the disk may be full.
const LIVED: Duration = Duration::from_secs(5);
/// Redis and Valkey log it when everything is loaded.
const WORKS: &str = "eady to accept connections";

/// A run of the server, and where it begins in the log of the folder.
pub struct Run {
    pub started: Instant,
    folder: Folder,
    from: u64,
}

impl Run {
    pub fn begin(folder: &Folder) -> Self {
        let from = fs::metadata(folder.log()).map_or(0, |log| log.len());
        Self { started: Instant::now(), folder: folder.clone(), from }
    }

    /// Whether the server answered anybody.
    pub fn has_worked(&self) -> bool {
        let log = self.log();
        if log.is_empty() { self.started.elapsed() > LIVED } else { log.contains(WORKS) }
    }

    /// Why the server ended before it worked. `program` is the server.
    pub fn error(&self, program: &Path) -> EmbeddedError {
        let log = self.log();
        let line = last_words(&log);
        let advice = advice(line, &self.folder.append_only_files(), program);
        EmbeddedError::Ended { log: self.folder.log(), line: line.chars().take(LINE_CHARS_MAX).collect(), advice }
    }

    /// One line about a server that had worked and is started again.
    pub fn note(&self, status: Option<ExitStatus>) -> String {
        let status = status.map_or_else(|| "in an unknown way".to_owned(), |status| status.to_string());
        let line: String = last_words(&self.log()).chars().take(LINE_CHARS_MAX).collect();
        format!("the server ended ({status}) and is started again; its last word: {line}")
    }

    fn log(&self) -> String {
        let mut bytes = Vec::new();
        let read = File::open(self.folder.log()).and_then(|mut log| {
            let end = log.seek(SeekFrom::End(0))?;
            // Somebody may have cut the log.
            let from = if end < self.from { 0 } else { self.from };
            log.seek(SeekFrom::Start(from.max(end.saturating_sub(LOG_BYTES_MAX))))?;
            log.take(LOG_BYTES_MAX).read_to_end(&mut bytes)
        });
        read.map_or_else(|_| String::new(), |_| String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The last warning, which is the reason, else the last line: `14503:M 26 Nov 2026 07:57:53.252 # Bad file format ...`.
fn last_words(log: &str) -> &str {
    let warning = log.lines().rev().find_map(|line| Some(line.split_once(" # ")?.1));
    let last = || log.lines().rev().find(|line| !line.trim().is_empty());
    warning.or_else(last).unwrap_or("(nothing)").trim()
}

fn advice(line: &str, files: &Path, program: &Path) -> String {
    let says = |words: &[&str]| words.iter().any(|word| line.contains(word));
    let files_shown = files.display();
    if says(&[".base.", "AOF manifest", "RDB", "loading DB", "load DB"]) {
        return format!("{files_shown} is damaged where nothing can repair it. Go back to a backup of the folder.");
    }
    if says(&["append only file", "AOF file", "AOF format"]) {
        let is_valkey = program.file_name().is_some_and(|name| name.to_string_lossy().contains("valkey"));
        let check = if is_valkey { "valkey-check-aof" } else { "redis-check-aof" };
        return format!(
            "The append-only file is damaged. Copy {files_shown} away first. If there is a backup, go back to it. If not, run \
             `{check} --fix {files_shown}/appendonly.aof.manifest`: it cuts the file at the damage, and loses what came after. \
             Either way send the events of your payment provider again, and run `flashsale audit`."
        );
    }
    if says(&["No space left", "Disk quota", "File too large"]) {
        return "Make room on the disk, and start again.".to_owned();
    }
    if says(&["Permission denied", "Read-only file system", "Operation not permitted"]) {
        return format!("The user of this service must be able to write {files_shown} and everything in it.");
    }
    if says(&["memory", "Memory"]) {
        return "The machine has less memory than the data needs.".to_owned();
    }
    "Its lines before have more. redis.server names another program, redis.data_dir another folder.".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_warning_of_a_log_is_the_reason() {
        let log =
            "1:M 26 Nov 2026 07:57:53.252 * RDB is base AOF\n1:M 26 Nov 2026 07:57:53.252 # Bad file format\n\n[x] y\n";
        assert_eq!(last_words(log), "Bad file format");
        assert_eq!(last_words("*** FATAL CONFIG FILE ERROR ***\nBad directive\n\n"), "Bad directive");
        assert_eq!(last_words(""), "(nothing)");
    }

    #[test]
    fn the_advice_fits_what_the_server_says() {
        let of = |line, program| advice(line, Path::new("/data/appendonlydir"), Path::new(program));
        let bad =
            "Bad file format reading the append only file appendonly.aof.1.incr.aof: make a backup of your AOF file";
        assert!(
            of(bad, "/bin/redis-server")
                .contains("`redis-check-aof --fix /data/appendonlydir/appendonly.aof.manifest`")
        );
        assert!(of(bad, "/bin/valkey-server").contains("`valkey-check-aof --fix"));
        for (line, word) in [
            ("Internal error in RDB reading offset 0, function at rdb.c:3225 -> RDB CRC error", "backup"),
            ("Invalid AOF manifest file format", "Go back to a backup"),
            ("Bad file format reading the append only file appendonly.aof.1.base.rdb: make a", "Go back to a backup"),
            ("Can't open or create append-only dir appendonlydir: No space left on device", "room"),
            ("Can't open the append-only file x: Permission denied", "must be able to write"),
            ("Failed opening Unix socket: bind: Address already in use", "redis.data_dir"),
        ] {
            assert!(of(line, "redis-server").contains(word), "{line}");
        }
    }
}
