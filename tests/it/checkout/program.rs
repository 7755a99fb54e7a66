//! A program of the documents, in a process of its own, whose functions a test calls.

use std::{
    fs,
    io::{BufRead, BufReader, Lines, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

pub struct Program {
    child: Child,
    calls: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
    /// What Node needs beside the program.
    _folder: Option<TempDir>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of an installed library, if it is there.
fn library(language: &str, installed: &str) -> Option<PathBuf> {
    let folder = root().join(".cache").join(language);
    if folder.join(installed).exists() {
        return Some(folder);
    }
    crate::support::left_out(&format!("no library of Stripe for {language}; scripts/bootstrap --tests installs it"));
    None
}

impl Program {
    /// `None`, with a printed line, where the library is not installed.
    pub fn in_python(module: &str, environment: &[(&str, &str)]) -> Option<Self> {
        Some(Self::python(module, environment, Some(library("python", "installed.txt")?)))
    }

    /// For a program that needs no library. `None`, with a printed line, where there is no Python.
    pub fn in_python_alone(module: &str, environment: &[(&str, &str)]) -> Option<Self> {
        let version = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
        if !version.is_ok_and(|status| status.success()) {
            crate::support::left_out("no python3");
            return None;
        }
        Some(Self::python(module, environment, None))
    }

    fn python(module: &str, environment: &[(&str, &str)], library: Option<PathBuf>) -> Self {
        let mut python = Command::new("python3");
        let paths = std::env::join_paths(library.into_iter().chain([root().join("docs/examples")])).unwrap();
        python.arg(root().join("tests/it/checkout/driver.py")).arg(module);
        python.env("PYTHONPATH", paths).env("PYTHONDONTWRITEBYTECODE", "1");
        Self::run(python, environment, None)
    }

    /// `None`, with a printed line, where the library is not installed.
    pub fn in_node(module: &str, environment: &[(&str, &str)]) -> Option<Self> {
        let library = library("node", "installed.json")?;
        // Node looks for libraries beside the program only.
        let folder = TempDir::with_prefix("fs").unwrap();
        std::os::unix::fs::symlink(library.join("node_modules"), folder.path().join("node_modules")).unwrap();
        let program = folder.path().join(format!("{module}.mjs"));
        fs::copy(root().join(format!("docs/examples/{module}.mjs")), &program).unwrap();
        let mut node = Command::new("node");
        node.arg(root().join("tests/it/checkout/driver.mjs")).arg(program);
        Some(Self::run(node, environment, Some(folder)))
    }

    fn run(mut command: Command, environment: &[(&str, &str)], folder: Option<TempDir>) -> Self {
        command.envs(environment.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let calls = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, calls, answers, _folder: folder }
    }

    /// What a function returned as `value`, or the `status` of the refusal that it met.
    pub fn call(&mut self, function: &str, arguments: &Value, named: &Value) -> Value {
        let call = json!([function, arguments, named]);
        writeln!(self.calls.as_mut().unwrap(), "{call}").unwrap();
        let answer = self.answers.next().expect("the program goes on").unwrap();
        serde_json::from_str(&answer).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.calls = None;
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}
