//! The service with a demo sale, as a process of its own.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value as Json;
use tempfile::TempDir;

pub const ADMIN_TOKEN: &str = "of-the-admin-4e1f8a03c96d2b75";
const WAIT_MAX: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(20);

pub struct Service {
    child: Child,
    addr: SocketAddr,
    client: Client,
    folder: TempDir,
}

impl Service {
    /// With a collector in its settings, and other variables of its environment.
    pub async fn start(collector: Option<SocketAddr>, variables: &[(&str, &str)]) -> Self {
        let folder = TempDir::with_prefix("fs").unwrap();
        let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_flashsale"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("FLASHSALE_REDIS__DATA_DIR", folder.path().join("data")).env("FLASHSALE_HTTP__WORKERS", "2");
        command.env("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN);
        if let Some(collector) = collector {
            command.env("FLASHSALE_TRACING__OTLP_ENDPOINT", format!("http://{collector}"));
        }
        command.envs(variables.iter().copied());
        let log = File::create(folder.path().join("log")).unwrap();
        command.args(["serve", "--demo", "--addr", &addr.to_string()]);
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let service = Self { child, addr, client: Client::new(), folder };
        service.eventually(async || service.is_ready().await).await;
        service
    }

    async fn is_ready(&self) -> bool {
        self.request(Method::GET, "/readyz").send().await.is_ok_and(|answer| answer.status().is_success())
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.addr))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Waits for a condition, as long as a slow machine may need.
    pub async fn eventually(&self, mut condition: impl AsyncFnMut() -> bool) {
        let started = Instant::now();
        while !condition().await {
            assert!(started.elapsed() < WAIT_MAX, "still not so: {}", self.log());
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Stops it in order. Gives its log, and how long that took.
    pub fn stop(mut self) -> (String, Duration) {
        let pid = self.pid().to_string();
        let started = Instant::now();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let ended = loop {
            if let Some(ended) = self.child.try_wait().unwrap() {
                break ended;
            }
            assert!(started.elapsed() < WAIT_MAX, "it does not stop: {}", self.log());
            thread::sleep(PAUSE);
        };
        assert!(ended.success(), "{}", self.log());
        (self.log(), started.elapsed())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Status and body.
pub async fn answer(request: RequestBuilder) -> (u16, Json) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// The lines of a log that say this.
pub fn lines(log: &str, message: &str) -> Vec<Json> {
    let lines = log.lines().filter(|line| line.contains(message));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}
