//! Certificates, made by `openssl` for one test.

use std::process::{Command, Stdio};

use tempfile::TempDir;

/// An authority, and a certificate that it signed, of a server named `localhost`: no certificate names an address.
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    pub fn make() -> Self {
        let this = Self { folder: TempDir::with_prefix("fs").unwrap() };
        let authority = ["-subj", "/CN=an authority", "-addext", "keyUsage=critical,keyCertSign"];
        this.openssl("ca", &authority);
        let (own, key) = (this.file("ca.pem"), this.file("ca.key"));
        let name = ["-subj", "/CN=a server", "-addext", "subjectAltName=DNS:localhost"];
        let signed = ["-addext", "basicConstraints=critical,CA:FALSE", "-CA", &own, "-CAkey", &key];
        this.openssl("server", &[&name[..], &signed].concat());
        this
    }

    /// The certificate of the authority, for whoever connects.
    pub fn authority(&self) -> String {
        self.file("ca.pem")
    }

    /// The arguments of a server that speaks TLS on this port, to clients and to other servers.
    pub fn arguments(&self, port: u16) -> Vec<String> {
        let (port, [certificate, key]) = (port.to_string(), self.own());
        let all = [
            ["--tls-port", &port],
            ["--tls-cert-file", &certificate],
            ["--tls-key-file", &key],
            ["--tls-ca-cert-file", &self.authority()],
            ["--tls-auth-clients", "no"],
            ["--tls-replication", "yes"],
        ];
        all.concat().into_iter().map(str::to_owned).collect()
    }

    /// The files of the certificate of the server and of its key.
    pub fn own(&self) -> [String; 2] {
        ["server.pem", "server.key"].map(|name| self.file(name))
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn openssl(&self, name: &str, more: &[&str]) {
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-keyout",
                &self.file(&format!("{name}.key")),
            ])
            .args(["-out", &self.file(&format!("{name}.pem"))])
            .args(more)
            .stderr(Stdio::null())
            .status();
        assert!(
            made.is_ok_and(|status| status.success()),
            "openssl makes a certificate; scripts/bootstrap installs it"
        );
    }
}
