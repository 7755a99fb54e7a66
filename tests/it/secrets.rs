//! No secret is printed. Every secret setting gets a marked value, by each way that a setting can be given, and the mark is
//! looked for in everything that the program writes.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Output, Stdio},
};

use flashsale::{
    app::load_settings,
    config::{Environment, Sources},
};
use tempfile::TempDir;

use crate::support::{
    contract::check_text,
    process::{ServiceProcess, command},
    redis::{PrivateRedis, ServerProcess, free_port, signal_process},
};

/// A word that is in no other output. In base64 it is a part of a good secret of the webhook.
pub const MARK: &str = "CanaryCanaryCanary";

/// URLs of Redis with the mark in each place where a credential may stand, escaped or not. `{}` is a port.
const URLS: [&str; 8] = [
    "redis://app:CanaryCanaryCanary@127.0.0.1:{}",
    "redis://:CanaryCanaryCanary@127.0.0.1:{}/0",
    "redis://CanaryCanaryCanary@127.0.0.1:{}",
    "redis://app:p@CanaryCanaryCanary@127.0.0.1:{}",
    "redis://127.0.0.1:{}?password=CanaryCanaryCanary",
    "redis://127.0.0.1:{}?user=CanaryCanaryCanary&pass=CanaryCanaryCanary&protocol=resp2",
    "unix:///run/none/redis.sock?user=app&pass=CanaryCanaryCanary",
    "unix:///run/none/redis.sock?user=CanaryCanaryCanary&db=0",
];

/// URLs that are wrong, or mean something else than whoever wrote them thought.
const WRONG_URLS: [&str; 6] = [
    "redis://app:42?CanaryCanaryCanary@127.0.0.1",
    "redis://app:CanaryCanaryCanary/x@127.0.0.1:6379",
    "redis://app:1#CanaryCanaryCanary@127.0.0.1",
    "http://app:CanaryCanaryCanary@127.0.0.1",
    "CanaryCanaryCanary",
    "redis:CanaryCanaryCanary@127.0.0.1:6379",
];

/// The names of all secret settings, as the reader registered them, and a good value with the mark for each.
pub fn secrets() -> Vec<(String, String)> {
    let nothing = tempfile::NamedTempFile::new().unwrap();
    let sources = Sources { file: Some(nothing.path()), environment: &Environment::new(), flags: &vec![] };
    let mut found = Vec::new();
    for name in load_settings(sources).unwrap().secrets() {
        if name != "redis.url" {
            let prefix = if name.starts_with("webhook.") { "whsec_" } else { "" };
            // No two tokens may have one secret.
            let suffix = if name.starts_with("admin.") { found.len().to_string() } else { String::new() };
            found.push((name.to_owned(), format!("{prefix}{MARK}CanaryCanaryCa{suffix}")));
        }
    }
    found
}

pub fn variable(setting: &str) -> String {
    format!("FLASHSALE_{}", setting.replacen('.', "__", 1).to_uppercase())
}

/// A settings file with these texts. A list is a list of one.
fn settings_file(folder: &Path, settings: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, value) in settings {
        let (section, key) = name.split_once('.').unwrap();
        let value = if key.ends_with('s') { format!("[{value:?}]") } else { format!("{value:?}") };
        text.extend([section, ".", key, " = ", &value, "\n"]);
    }
    let path = folder.join("settings.toml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn assert_silent(what: &str, output: &Output) -> String {
    let all = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!all.contains(MARK), "{what} printed a secret: {all}");
    all
}

#[test]
fn all_known_secrets_are_registered() {
    let names: Vec<String> = secrets().into_iter().map(|(name, _)| name).collect();
    for name in [
        "admin.read_tokens",
        "admin.token",
        "admin.tokens",
        "http.api_keys",
        "webhook.secrets",
        "webhook.stripe_secrets",
    ] {
        assert!(names.contains(&name.to_owned()), "{name} is not among {names:?}");
    }
    for line in flashsale::config::DEFAULTS.lines() {
        let key = line.split(" = ").next().unwrap();
        let looks_secret = ["secret", "token", "password", "api_key"].iter().any(|word| key.contains(word));
        let is_setting = !line.starts_with('#') && line.contains(" = ");
        if is_setting && looks_secret {
            let is_known = names.iter().any(|name| name.ends_with(&format!(".{key}")));
            assert!(is_known, "{key} is a secret by its name, and is not read as one");
        }
    }
}

#[test]
fn config_prints_no_secret_from_a_file_or_the_environment() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let secrets = secrets();
    let file = settings_file(folder.path(), &secrets);
    let by_file = command(folder.path()).args(["config", "--config", &file]).output().unwrap();
    // As a shell has it: `--config <(decrypt settings)`.
    let mut of_pipe = command(folder.path());
    of_pipe.args(["config", "--config", "/dev/stdin"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut of_pipe = of_pipe.spawn().unwrap();
    of_pipe.stdin.take().unwrap().write_all(&fs::read(&file).unwrap()).unwrap();
    let by_pipe = of_pipe.wait_with_output().unwrap();
    let mut program = command(folder.path());
    let by_environment =
        program.arg("config").envs(secrets.iter().map(|(name, value)| (variable(name), value))).output().unwrap();
    for output in [by_file, by_pipe, by_environment] {
        let printed = assert_silent("config", &output);
        assert!(output.status.success(), "{printed}");
        assert_eq!(printed.matches("[hidden]").count(), secrets.len(), "{printed}");
    }
}

#[test]
fn complaints_repeat_no_secret() {
    let folder = TempDir::with_prefix("fs").unwrap();
    // Each value has a form that is wrong somewhere, and is given beside other mistakes.
    for (name, _) in secrets() {
        for value in [format!("{MARK} with blanks"), format!("{MARK},x"), format!("{MARK}\u{e9}")] {
            let mut program = command(folder.path());
            program.arg("config").env(variable(&name), &value).env("FLASHSALE_HTTP__WORKERS", "many");
            let output = program.env("FLASHSALE_HTTP__TOKEN", MARK).output().unwrap();
            let printed = assert_silent(&name, &output);
            assert!(output.status.code() == Some(2) && printed.contains("http.workers"), "{printed}");
        }
    }
    let file = folder.path().join("broken.toml");
    fs::write(&file, format!("[admin]\ntoken = \"{MARK}")).unwrap();
    let output = command(folder.path()).args(["config", "--config", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", assert_silent("a broken file", &output));
}

#[test]
fn no_url_of_redis_shows_its_credentials_in_config_or_in_a_start_that_fails() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let port = free_port().to_string();
    for url in URLS.map(|url| url.replace("{}", &port)).into_iter().chain(WRONG_URLS.map(str::to_owned)) {
        for name in ["REDIS_URL", "FLASHSALE_REDIS__URL"] {
            let run = |arguments: &[&str]| {
                let mut program = command(folder.path());
                program.args(arguments).env(name, &url).env("FLASHSALE_LOG__FILTER", "trace");
                program.env("FLASHSALE_REDIS__STARTUP_SECONDS", "0").output().unwrap()
            };
            let shown = run(&["config"]);
            let printed = assert_silent(&url, &shown);
            let place = ["127.0.0.1", "/run/none/redis.sock", "redis.url"];
            let is_right = !WRONG_URLS.contains(&&*url);
            assert!(!is_right || place.iter().any(|place| printed.contains(place)), "{url}: {printed}");
            let failed = run(&["serve", "--addr", "127.0.0.1:0"]);
            assert!(!failed.status.success(), "{}", assert_silent(&url, &failed));
            assert_silent(&url, &failed);
        }
    }
}

#[test]
fn the_demo_prints_the_token_that_it_made_and_no_secret_of_the_settings() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let mut program = command(&folder.path().join("data"));
    program.envs(secrets().iter().map(|(name, value)| (variable(name), value)));
    let service = ServiceProcess::run(program, SocketAddr::from(([127, 0, 0, 1], free_port())));
    assert!(!service.welcome.contains(MARK), "{}", service.welcome);
    assert!(service.welcome.contains("$FLASHSALE_ADMIN__TOKEN") && service.welcome.contains("$API_KEY"));
}

#[test]
fn a_running_service_logs_and_answers_no_secret() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let redis = PrivateRedis::start();
    let _: () = redis::cmd("ACL")
        .arg(&["SETUSER", "app", "on", &format!(">{MARK}"), "~*", "&*", "+@all"])
        .query(&mut redis.connect())
        .unwrap();
    let url = redis.url_of("app", MARK);
    let addr = format!("127.0.0.1:{}", free_port());
    let mut program = command(folder.path());
    program.args(["serve", "--addr", &addr]).env("FLASHSALE_LOG__FILTER", "trace");
    // The sentinels of this test have no password, and refuse one.
    let is_refused = |name: &str| url.contains("sentinel") && name.starts_with("redis.sentinel");
    let secrets = secrets().into_iter().filter(|(name, _)| !is_refused(name));
    program.envs(secrets.map(|(name, value)| (variable(&name), value)));
    program.env("FLASHSALE_REDIS__URL", &url);
    let mut service = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(service.stderr.take().unwrap());
    let mut logged = String::new();
    while !logged.contains("listening") {
        assert_ne!(log.read_line(&mut logged).unwrap(), 0, "it ended: {logged}");
    }
    let reading = std::thread::spawn(move || {
        let mut rest = String::new();
        log.read_to_string(&mut rest).unwrap();
        rest
    });
    let good = format!("{MARK}CanaryCanaryCa");
    let mut answers = String::new();
    for (path, headers, body) in [
        ("/readyz", String::new(), ""),
        ("/api/products/1", format!("X-Api-Key: {good}"), ""),
        ("/api/products/1", format!("X-Api-Key: {good}x"), ""),
        ("/api/holds", format!("X-Api-Key: {good}"), r#"{"product_id":1,"quantity":1}"#),
        ("/api/admin/sales", format!("Authorization: Bearer {good}"), ""),
        ("/api/admin/sales", format!("Authorization: Bearer {good}x"), ""),
        ("/api/admin/sales", format!("Authorization: {good}"), ""),
        (
            "/api/payments/webhook",
            format!("webhook-id: 1\r\nwebhook-timestamp: 1\r\nwebhook-signature: v1,{good}"),
            "{}",
        ),
        ("/api/payments/webhooks/stripe", format!("Stripe-Signature: t=1,v1={good}"), "{}"),
    ] {
        let method = if body.is_empty() { "GET" } else { "POST" };
        answers.push_str(&exchange(&addr, method, path, &headers, body));
    }
    signal_process(service.id(), "TERM");
    let ended = service.wait_with_output().unwrap();
    logged.push_str(&reading.join().unwrap());
    assert!(ended.status.success(), "{logged}");
    assert!(answers.contains("401 Unauthorized") && answers.contains("404 Not Found"), "{answers}");
    let printed = String::from_utf8_lossy(&ended.stdout).into_owned() + &logged + &answers;
    assert!(!printed.contains(MARK), "{printed}");
}

/// One request on a connection of its own.
pub fn exchange(addr: &str, method: &str, path: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    let extra = if headers.is_empty() { String::new() } else { format!("{headers}\r\n") };
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{extra}");
    let length = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let _reset = stream.write_all((head + &length).as_bytes());
    let mut answer = Vec::new();
    // A refusal may close the connection before the body was read.
    let _reset = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    check_text(method, path, &answer);
    answer
}

#[test]
fn a_password_with_any_character_works_once_it_is_encoded_and_is_not_printed_before() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let redis = ServerProcess::start(&[]);
    let password = format!("{MARK}/?#@%:&=+ \"'\u{e9}");
    let mut open = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    redis::cmd("CONFIG").arg(&["SET", "requirepass", &password]).exec(&mut open).unwrap();
    let url = |password: &str| redis.url().replace("://", &format!("://:{password}@"));
    let raw = command(folder.path()).arg("config").env("REDIS_URL", url(&password)).output().unwrap();
    let printed = assert_silent("config", &raw);
    assert!(raw.status.code() == Some(2) && printed.contains("flashsale config encode-password"), "{printed}");
    let mut encoding = command(folder.path());
    encoding.args(["config", "encode-password"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut encoding = encoding.spawn().unwrap();
    encoding.stdin.take().unwrap().write_all(format!("{password}\r\n").as_bytes()).unwrap();
    let encoded = String::from_utf8(encoding.wait_with_output().unwrap().stdout).unwrap();
    let checked = command(folder.path()).arg("config").env("REDIS_URL", url(encoded.trim())).output().unwrap();
    assert!(checked.status.success(), "{}", assert_silent("config", &checked));
    assert!(redis::Client::open(url(encoded.trim())).unwrap().get_connection().is_ok());
}
