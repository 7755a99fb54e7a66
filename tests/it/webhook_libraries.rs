//! The official Python libraries sign what the service checks, and check what is signed here. `scripts/bootstrap --tests`
//! installs them where there is Python with a network.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use flashsale::webhook::{Provider, signature::Signer, standard, stripe};
use serde_json::{Map, Value, json};

use crate::support::app::TestApp;

const SECRETS: [&str; 2] = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"];
const FOREIGN: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the libraries, if they were installed.
fn libraries() -> Option<PathBuf> {
    let folder = root().join(".cache/python");
    if folder.join("installed.txt").exists() {
        return Some(folder);
    }
    println!("left out: no standardwebhooks and stripe for Python; scripts/bootstrap --tests installs them");
    None
}

fn run(libraries: &Path, jobs: &Value) -> Value {
    let mut python = Command::new("python3")
        .arg(root().join("tests/it/webhook_libraries.py"))
        .env("PYTHONPATH", libraries)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(jobs.to_string().as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "the libraries are installed and must work");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn what_the_official_libraries_sign_is_trusted_and_nothing_else() {
    let Some(libraries) = libraries() else { return };
    let secrets = SECRETS.join(",");
    let app = TestApp::start_with(&[
        ("WEBHOOK__SECRETS", &secrets),
        ("WEBHOOK__STRIPE_SECRETS", &secrets),
        ("WEBHOOK__ALLOW_UNSIGNED", "false"),
    ]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": 9})).await;
    let mut jobs = Vec::new();
    let mut expected = Vec::new();
    for (library, provider) in [("standard", &standard::PROVIDER), ("stripe", &stripe::PROVIDER)] {
        let order = app.ordered().await;
        let id = format!("evt_{library}");
        // No JSON writer of ours would write this, so only the bytes as they came can have the right signature.
        let body = match library {
            "standard" => format!(
                "{{ \"payload\" : {{\"note\":\"caf\u{e9} \u{1f389}\",\n\"status\":\"paid\",\"order_id\":\"{order}\"}} }} "
            ),
            _ => format!(
                "{{ \"id\":\"{id}\", \"type\":\"payment_intent.succeeded\", \"note\":\"caf\u{e9} \u{1f389}\",\n  \"data\":{{\"object\":\
                 {{\"id\":\"pi_1\",\"amount_received\":5000,\"currency\":\"usd\",\"metadata\":{{\"order_id\":\"{order}\"}}}}}} }} "
            ),
        };
        let job = json!({"library": library, "url": format!("http://{}{}", app.addr, provider.path), "id": id, "body": body,
            "secrets": [SECRETS[0]], "age": 0});
        for (changed, value, answer) in [
            ("secrets", json!([FOREIGN]), json!([401, "signature_invalid"])),
            ("sent", json!(body.replace("caf\u{e9}", "cafe")), json!([401, "signature_invalid"])),
            ("age", json!(310), json!([401, "timestamp_out_of_tolerance"])),
            ("age", json!(-310), json!([401, "timestamp_out_of_tolerance"])),
            ("age", json!(0), json!([200, "applied"])),
            ("age", json!(290), json!([200, "duplicate"])),
            ("age", json!(-290), json!([200, "duplicate"])),
            ("secrets", json!([SECRETS[1]]), json!([200, "duplicate"])),
            ("secrets", json!([FOREIGN, SECRETS[1]]), json!([200, "duplicate"])),
            ("prefix", json!("svix"), json!([200, "duplicate"])),
        ] {
            let mut job = job.clone();
            job[changed] = value;
            jobs.push(job);
            expected.push(answer);
        }
    }
    let came = run(&libraries, &json!({"send": jobs, "check": []}));
    assert_eq!(came["send"], Value::Array(expected));
    assert_eq!(app.stock(1).await, "7 available, 2 sold");
}

#[test]
fn what_is_signed_here_is_trusted_by_the_official_libraries() {
    let Some(libraries) = libraries() else { return };
    let body = "{\"id\":\"evt_1\",\"object\":\"event\",\"note\":\"caf\u{e9}\"}";
    let check = |library: &str, provider: &'static Provider| {
        let now = jiff::Timestamp::now().as_second().unsigned_abs();
        let headers = Signer::new(provider, SECRETS[0]).unwrap().sign("evt_1", now, body.to_owned()).headers;
        let headers: Map<_, _> = headers.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        json!({"library": library, "body": body, "secret": SECRETS[0], "headers": headers})
    };
    let jobs = [check("standard", &standard::PROVIDER), check("stripe", &stripe::PROVIDER)];
    assert_eq!(run(&libraries, &json!({"send": [], "check": jobs}))["check"], json!(["trusted", "trusted"]));
}
