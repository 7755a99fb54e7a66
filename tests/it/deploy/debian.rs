//! What `scripts/dist` packs, and what the Debian package does beyond its files.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::{
    house::{read, root},
    support::{left_out, process::without_settings, redis::PROGRAM},
};

/// A program of these lines.
fn script(path: &Path, lines: &str) {
    fs::write(path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The output of a command that must succeed.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// What the program says of itself: its commands.
fn commands() -> Vec<String> {
    let help = output(without_settings(PROGRAM).arg("--help"));
    let (_, rest) = help.split_once("Commands:\n").unwrap();
    let (list, _) = rest.split_once("\n\n").unwrap();
    let named = list.lines().filter_map(|line| line.strip_prefix("  ").filter(|name| !name.starts_with(' ')));
    named.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn a_package_has_a_manual_settings_for_root_alone_and_good_sums() {
    if Command::new("dpkg-deb").arg("--version").output().is_err() {
        return left_out("dpkg-deb is not installed");
    }
    let folder = TempDir::with_prefix("fs").unwrap();
    // In place of the program, which a machine of tests links to its own glibc, and which takes long to pack.
    let program = folder.path().join("program");
    script(&program, &format!("exec {PROGRAM} \"$@\""));
    let packed = folder.path().join("packed");
    output(Command::new(root().join("scripts/dist")).arg(&program).arg(&packed).env_remove("FLASHSALE_CONFIG"));
    let again = Command::new(root().join("scripts/dist")).arg(&program).arg(&packed).output().unwrap();
    assert!(!again.status.success() && said(&again).contains("is there already"), "{}", said(&again));
    output(Command::new("sha256sum").args(["--check", "SHA256SUMS"]).current_dir(&packed));
    assert_eq!(read(&packed.join("SHA256SUMS")).lines().count(), 2, "an archive and a package");

    let package = fs::read_dir(&packed).unwrap().map(|entry| entry.unwrap().path());
    let package = package.into_iter().find(|path| path.extension().is_some_and(|end| end == "deb")).unwrap();
    let files = output(Command::new("dpkg-deb").arg("--contents").arg(&package));
    for line in files.lines() {
        assert!(line.split_whitespace().nth(1) == Some("root/root"), "{line}");
        let is_secret = line.ends_with("/etc/flashsale/flashsale.toml");
        assert_eq!(is_secret, line.starts_with("-rw-------"), "{line}");
    }
    let at = folder.path().join("files");
    output(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&at));
    output(Command::new("dpkg-deb").arg("--control").arg(&package).arg(folder.path().join("control")));
    output(Command::new("md5sum").args(["--check", "../control/md5sums"]).current_dir(&at));

    let manual = output(Command::new("gzip").args(["-dc"]).arg(at.join("usr/share/man/man1/flashsale.1.gz")));
    let commands = commands();
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        assert!(manual.contains(&format!("\n.SH {}\n.nf\n", command.to_uppercase())), "the manual lacks {command}");
    }
    // What roff would take for its own: a hyphen that is none, and a request that is none.
    let is_own = |line: &str| [".TH ", ".SH ", ".nf", ".fi"].iter().any(|request| line.starts_with(request));
    for line in manual.lines().filter(|line| !is_own(line)) {
        assert!(!line.starts_with(['.', '\'']), "{line}");
        assert!(!line.replace("\\-", "").contains("--"), "{line}");
    }
}

/// Runs a script of the package, and returns what it asked of Debian and systemd.
fn asked(name: &str, arguments: &[&str]) -> String {
    let folder = TempDir::with_prefix("fs").unwrap();
    let log = folder.path().join("log");
    for tool in ["deb-systemd-helper", "deb-systemd-invoke", "systemctl"] {
        script(&folder.path().join(tool), &format!("echo {tool} \"$@\" >>{}", log.display()));
    }
    let path = format!("{}:{}", folder.path().display(), env::var("PATH").unwrap());
    output(Command::new("sh").arg(root().join("deploy/debian").join(name)).args(arguments).env("PATH", path));
    fs::read_to_string(log).unwrap_or_default()
}

#[test]
fn purging_takes_away_what_enabling_made_and_removing_does_not() {
    let purge = "deb-systemd-helper purge flashsale.service\n";
    // Without what this wrote down, purging would not know of the link.
    assert!(asked("postinst", &["configure", ""]).contains("deb-systemd-helper update-state flashsale.service\n"));
    assert!(asked("postrm", &["purge"]).contains(purge));
    for other in ["remove", "upgrade", "abort-install", "disappear"] {
        assert!(!asked("postrm", &[other]).contains(purge), "{other}");
    }
}

#[test]
fn nothing_starts_before_somebody_enables_it() {
    for arguments in [["configure", ""], ["configure", "0.0.9"]] {
        let asked = asked("postinst", &arguments);
        for line in asked.lines() {
            let starts = ["enable", "start", "restart"].iter().any(|word| line.split(' ').any(|given| given == *word));
            assert!(!starts, "{line}");
        }
    }
}

#[test]
fn what_lintian_leaves_alone_has_a_reason() {
    let text = read(&root().join("deploy/debian/lintian-overrides"));
    let lines: Vec<_> = text.lines().collect();
    assert!(lines.len() >= 2, "{text}");
    for (number, line) in lines.iter().enumerate().filter(|(_, line)| !line.starts_with('#')) {
        assert!(line.starts_with("flashsale: "), "{line}");
        assert!(number > 0 && lines[number - 1].starts_with("# "), "no reason before: {line}");
    }
}
