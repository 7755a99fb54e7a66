//! On what it was measured.

use std::{fs, path::Path, process::Command};

use crate::support::redis::{newer_server, server_program};

/// The first line that a program prints on either output.
fn first_line(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().next().map(str::to_owned)
}

/// `Redis 7.0.15`.
fn server(program: &Path) -> Option<String> {
    let line = first_line(program, &["--version"])?;
    let name = if line.starts_with("Valkey") { "Valkey" } else { "Redis" };
    let version = line.split_whitespace().find_map(|word| word.strip_prefix("v="))?;
    Some(format!("{name} {version}"))
}

/// The processor, its number of cores, memory and system.
pub fn kind() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let processor = value(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = value(&read("/proc/meminfo"), "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    let system = first_line(Path::new("uname"), &["-sr"]).unwrap_or_default();
    format!("{processor}, {cores} cores, {} GB, {system}", memory.unwrap_or(0) / 1_000_000)
}

pub fn versions() -> String {
    let revision = first_line(Path::new("git"), &["rev-parse", "--short", "HEAD"]).unwrap_or_default();
    let service = format!("flashsale {} ({revision}, built without optimisation)", env!("CARGO_PKG_VERSION"));
    let nginx =
        first_line(Path::new("nginx"), &["-v"]).and_then(|line| Some(format!("nginx {}", line.split('/').nth(1)?)));
    let all = [Some(service), server(&server_program()), newer_server().and_then(|newer| server(&newer)), nginx];
    let mut all: Vec<_> = all.into_iter().flatten().collect();
    all.dedup();
    all.join(", ")
}

/// How many programs wanted the processor of late.
pub fn load() -> String {
    fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| text.split(' ').next().map(str::to_owned))
        .unwrap_or_default()
}

/// Today, in UTC.
pub fn date() -> String {
    jiff::Timestamp::now().strftime("%F").to_string()
}
