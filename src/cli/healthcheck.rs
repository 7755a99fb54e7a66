//! `flashsale healthcheck`: asks /readyz. Made for containers, which have no curl.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

use super::{CommonArgs, environment, say};
use crate::config::{self, Overrides};

const PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn run(common: &CommonArgs, addr: Option<String>) -> Result<(), String> {
    let addr = match addr {
        Some(text) => resolve(&text)?,
        None => reachable(
            config::load(common.config.as_deref(), &environment(), &Overrides::new())
                .map_err(|complaints| complaints.to_string())?
                .http
                .addr,
        ),
    };
    let answer = ask(addr).map_err(|error| format!("{addr} does not answer: {error}"))?;
    let status = answer.lines().next().unwrap_or("").trim().to_owned();
    if status.starts_with("HTTP/1.1 200") {
        say("ready");
        return Ok(());
    }
    Err(format!("{addr} is not ready: {status}"))
}

fn resolve(text: &str) -> Result<SocketAddr, String> {
    let found = text.to_socket_addrs().ok().and_then(|mut all| all.next());
    found.ok_or_else(|| "--addr must be a host and port such as 127.0.0.1:8080".to_owned())
}

/// A service that listens on all addresses is asked on the loopback one.
pub(super) fn reachable(addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() { SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), addr.port()) } else { addr }
}

fn ask(addr: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET /readyz HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(8_192).read_to_string(&mut answer)?;
    Ok(answer)
}
