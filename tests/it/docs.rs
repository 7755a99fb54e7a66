//! What the documents print is what happens: the README's session, and what the demo says to try.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Command,
};

use tempfile::TempDir;

use crate::support::{
    process::{ServiceProcess, command},
    redis::{PROGRAM, free_port},
};

const README_URL: &str = "http://127.0.0.1:8080";
const CUT: &str = "----- 8< -----";

/// A command of a document and what the document says it prints.
#[derive(Debug, Default)]
struct Step {
    command: String,
    printed: String,
}

/// The steps of the console blocks that follow a `<!-- tested -->` line.
fn steps(document: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in document.split("<!-- tested -->\n```console\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step { command: command.to_owned(), ..Step::default() });
            } else if let Some(step) = steps.last_mut() {
                let target = if step.command.ends_with('\\') { &mut step.command } else { &mut step.printed };
                target.push('\n');
                target.push_str(line);
            }
        }
    }
    steps
}

/// Runs commands in one shell, in a folder of its own, where `flashsale` is this program and its settings name the service
/// and the token that it printed; gives what each printed.
fn run(commands: &[String], folder: &Path, service: &ServiceProcess) -> Vec<String> {
    let script: String = commands.iter().map(|command| format!("{command}\necho\necho '{CUT}'\n")).collect();
    let programs = [Path::new(PROGRAM).parent().unwrap().to_str().unwrap(), &std::env::var("PATH").unwrap()].join(":");
    let token = service.welcome.split("admin token").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(folder)
        .env("PATH", programs)
        .env("FLASHSALE_HTTP__ADDR", service.addr.to_string())
        .env("FLASHSALE_ADMIN__TOKEN", token)
        .output()
        .unwrap();
    let (printed, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{printed}\n{errors}");
    printed.split(CUT).take(commands.len()).map(|part| part.trim().to_owned()).collect()
}

/// With what differs from run to run made the same: ids, instants and times; and without white space, for the document breaks
/// long lines.
fn normal(text: &str) -> String {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "-_:.".contains(c);
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_token) {
        let end = rest[start..].find(|c| !is_token(c)).map_or(rest.len(), |length| start + length);
        let token = &rest[start..end];
        out.push_str(&rest[..start]);
        out.push_str(match token {
            token if token.starts_with("hold_p") => "hold_…",
            token if token.starts_with("order_p") => "order_…",
            token if token.starts_with("evt_") => "evt_…",
            token if token.len() == 24 && token.ends_with('Z') && token.contains('T') => "an instant",
            token if token.ends_with('Z') && token.contains(':') => "a time",
            token if token.len() == 10 && token.split('-').map(str::len).eq([4, 2, 2]) => "a day",
            // The id of a request.
            token if token.split('-').next().is_some_and(|process| process.len() == 16) => "…",
            token => token,
        });
        rest = &rest[end..];
    }
    out.push_str(rest);
    out.split_whitespace().collect::<String>()
}

#[test]
fn the_session_of_the_readme_prints_what_the_readme_says() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let steps = steps(&readme);
    assert!(steps.len() >= 6, "{steps:?}");
    let folder = TempDir::with_prefix("fs").unwrap();
    let service = ServiceProcess::start(&folder.path().join("data"));
    let commands: Vec<String> = steps.iter().map(|step| step.command.replace(README_URL, &service.url())).collect();
    for (step, printed) in steps.iter().zip(run(&commands, folder.path(), &service)) {
        assert_eq!(normal(&printed), normal(&step.printed), "$ {}", step.command);
    }
}

#[test]
fn the_proof_of_the_readme_proves() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = TempDir::with_prefix("fs").unwrap();
    let service = ServiceProcess::start(folder.path());
    let rush = || Command::new(root.join("loadtest/rush.sh")).arg(service.url()).output().unwrap();
    let first = rush();
    let printed = String::from_utf8(first.stdout).unwrap();
    assert!(first.status.success(), "{printed} {}", String::from_utf8_lossy(&first.stderr));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    assert!(readme.contains(printed.trim()), "the README shows something else than {printed}");
    let again = rush();
    let said = String::from_utf8(again.stderr).unwrap();
    assert_eq!(again.status.code(), Some(2), "{said}");
    assert!(
        said.contains("no units left: 100 held, 0 pending, 0 sold") && said.contains("rm -r flashsale-data"),
        "{said}"
    );
}

#[test]
fn the_proof_that_the_demo_names_is_about_that_demo_and_says_what_stands_in_its_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = TempDir::with_prefix("fs").unwrap();
    let settings = [
        ("FLASHSALE_HTTP__API_KEYS", "a-key-of-some-shop"),
        ("FLASHSALE_HTTP__RATE_LIMIT_PER_SECOND", "0.001"),
        ("FLASHSALE_HTTP__RATE_LIMIT_BURST", "90"),
    ];
    let mut program = command(folder.path());
    program.envs(settings);
    let service = ServiceProcess::run(program, SocketAddr::from(([127, 0, 0, 1], free_port())));
    let url = service.url();
    let named = format!("make proof URL={url} API_KEY='a-key-of-some-shop'");
    assert!(service.welcome.contains(&named), "{}", service.welcome);
    let proof = |url: &str, key: &str, product: &str| {
        let mut make = Command::new("make");
        make.args(["--no-print-directory", "proof", &format!("URL={url}"), &format!("API_KEY={key}")]);
        let output = make.arg(format!("PRODUCT={product}")).current_dir(root).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    for (url, key, product, expected) in [
        ("http://127.0.0.1:1", "", "1", "nothing answers at http://127.0.0.1:1; start the service with: make run"),
        (&*url, "", "1", "API_KEY=…"),
        (&*url, "another-key-than-that", "1", "does not know this API_KEY (401)"),
        (&*url, "a-key-of-some-shop", "7", "has no product 7 (404)"),
        (&*url, "a-key-of-some-shop", "1", "buyers met a rate limit (429), so this proves nothing"),
        (&*url, "a-key-of-some-shop", "1", "has a rate limit, and this address has used it up (429)"),
    ] {
        let said = proof(url, key, product);
        assert!(said.contains(expected), "{expected} in {said}");
    }
}

#[test]
fn what_the_demo_says_to_try_works_as_printed() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let service = ServiceProcess::start(&folder.path().join("data"));
    let part = service.welcome.split("Try it, in another terminal:").nth(1).unwrap().split("Ctrl-C").next().unwrap();
    let commands: Vec<String> =
        part.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    let printed = run(&commands, folder.path(), &service);
    let all = printed.join("\n");
    for expected in [
        "\"available_stock\":100",
        "\"expires_in\":900",
        "\"status\":\"pending\"",
        "\"outcome\":\"applied\"",
        "\"id\":2",
    ] {
        assert!(all.contains(expected), "{expected} in {all}");
    }
    assert!(!all.contains("problems/"), "{all}");
}

#[test]
fn the_command_line_teaches() {
    let help = |arguments: &[&str]| {
        let output = command(Path::new("unused")).args(arguments).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let top = help(&["--help"]);
    for word in [
        "serve",
        "config",
        "healthcheck",
        "rush",
        "trigger",
        "sale",
        "product",
        "audit",
        "export",
        "import",
        "--demo",
        "--addr",
        "--config",
        "flashsale serve --demo",
    ] {
        assert!(top.contains(word), "{word} in {top}");
    }
    assert!(!top.contains("guard"), "{top}");
    let shown = help(&["config"]);
    assert!(shown.contains("hold_seconds = 900") && shown.contains("data_dir = \"unused\""), "{shown}");
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "[sale]\nhold_seconds = 7\n").unwrap();
    let path = file.path().to_str().unwrap();
    for arguments in [["--config", path, "config"], ["config", "--config", path]] {
        assert!(help(&arguments).contains("hold_seconds = 7"), "{arguments:?}");
    }
    let named = command(Path::new("unused")).arg("config").env("FLASHSALE_CONFIG", path).output().unwrap();
    assert!(String::from_utf8(named.stdout).unwrap().contains("hold_seconds = 7"));
    let misplaced = command(Path::new("unused")).args(["--demo", "config"]).output().unwrap();
    assert_eq!(misplaced.status.code(), Some(2));
    for asked in ["config", "serve", "healthcheck", "sale list", "rush --product 1"] {
        let mut program = command(Path::new("unused"));
        let wrong = program.args(asked.split(' ')).env("FLASHSALE_HTTP__ADR", "x").output().unwrap();
        let said = String::from_utf8(wrong.stderr).unwrap();
        assert!(wrong.status.code() == Some(2) && said.contains("http.adr"), "{asked}: {said}");
    }
}

#[test]
fn healthcheck_exits_by_what_the_service_says() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let service = ServiceProcess::start(folder.path());
    let check = |addr: &str| command(folder.path()).args(["healthcheck", "--addr", addr]).output().unwrap();
    assert!(check(&service.addr.to_string()).status.success());
    let refused = check("127.0.0.1:1");
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("does not answer"));
    assert_eq!(check("nonsense").status.code(), Some(2));
}

#[test]
fn a_port_that_is_taken_is_told_before_anything_is_started() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (data, addr) = (folder.path().join("data"), taken.local_addr().unwrap().to_string());
    let output = command(&data).args(["serve", "--addr", &addr]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains(&addr) && said.contains("--addr"), "{said}");
    assert!(!data.exists(), "a Redis was started for it");
}
