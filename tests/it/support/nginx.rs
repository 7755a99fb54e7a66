//! An nginx in front of services, in a folder of its own. It ends with the test, however it ends.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::redis::signal_process;

/// What stands around the part of the settings that a test is about.
const AROUND: &str = "
daemon off; worker_processes 1; pid nginx.pid; error_log error.log info;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
";

pub struct Nginx {
    process: Child,
    _folder: TempDir,
}

impl Nginx {
    /// With these settings of `http`. `None`, and a word about it: this machine has no nginx.
    pub fn start(settings: &str) -> Option<Self> {
        let folder = TempDir::with_prefix("fs").unwrap();
        fs::write(folder.path().join("nginx.conf"), format!("{AROUND}{settings}\n}}\n")).unwrap();
        let mut nginx = Command::new("nginx");
        nginx.arg("-p").arg(folder.path()).args(["-c", "nginx.conf"]).stderr(Stdio::null());
        let Ok(process) = nginx.spawn() else {
            super::left_out("nginx is not installed");
            return None;
        };
        Some(Self { process, _folder: folder })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        signal_process(self.process.id(), "TERM");
        let _ended = self.process.wait();
    }
}
