//! The program as a person calls it, asking a service under test.

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

use super::{
    app::{ADMIN_TOKEN, TestApp},
    process::command,
};

/// In an environment that says where the service is, and with which token to ask.
pub fn program(app: &TestApp) -> Command {
    let mut program = command(Path::new("unused"));
    program.env("FLASHSALE_HTTP__ADDR", app.addr.to_string()).env("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN);
    program
}

pub fn flashsale(app: &TestApp, arguments: &str) -> Output {
    program(app).args(arguments.split(' ')).output().unwrap()
}

/// What a command printed that must succeed.
pub fn done(app: &TestApp, arguments: &str) -> String {
    let output = flashsale(app, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments}: {}", complaint(&output).1);
    String::from_utf8(output.stdout).unwrap()
}

pub fn json_of(app: &TestApp, arguments: &str) -> Value {
    serde_json::from_str(&done(app, arguments)).unwrap()
}

/// Exit status, and what stderr says.
pub fn complaint(output: &Output) -> (i32, String) {
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Each must fail with the status, and say all of these.
pub fn all_fail(app: &TestApp, cases: &[(&str, i32, &[&str])]) {
    for (arguments, expected, words) in cases {
        let (status, said) = complaint(&flashsale(app, arguments));
        assert_eq!(status, *expected, "{arguments}: {said}");
        for word in *words {
            assert!(said.contains(word), "{arguments}: {word} in {said}");
        }
    }
}
