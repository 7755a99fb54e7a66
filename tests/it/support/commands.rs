//! The program as a person calls it, against a service under test.

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

use super::{
    app::{ADMIN_TOKEN, TestApp},
    process::command,
};

/// The program in an environment that names the service and its token.
pub fn program(app: &TestApp) -> Command {
    let mut program = command(Path::new("unused"));
    program.env("FLASHSALE_HTTP__ADDR", app.addr.to_string()).env("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN);
    program
}

pub fn flashsale(app: &TestApp, arguments: &str) -> Output {
    program(app).args(arguments.split(' ')).output().unwrap()
}

/// The output of a command, which must succeed.
pub fn done(app: &TestApp, arguments: &str) -> String {
    let output = flashsale(app, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments}: {}", status_and_stderr(&output).1);
    String::from_utf8(output.stdout).unwrap()
}

pub fn json_of(app: &TestApp, arguments: &str) -> Value {
    serde_json::from_str(&done(app, arguments)).unwrap()
}

/// Exit status and stderr.
pub fn status_and_stderr(output: &Output) -> (i32, String) {
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Each command must fail with the status, and print all of the words on stderr.
pub fn all_fail(app: &TestApp, cases: &[(&str, i32, &[&str])]) {
    for (arguments, expected, words) in cases {
        let (status, stderr) = status_and_stderr(&flashsale(app, arguments));
        assert_eq!(status, *expected, "{arguments}: {stderr}");
        for word in *words {
            assert!(stderr.contains(word), "{arguments}: {word} in {stderr}");
        }
    }
}
