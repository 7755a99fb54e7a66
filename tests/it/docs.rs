//! The documents: their sessions print what they say, their links lead somewhere, and they name every command, flag, setting and
//! code. And what the demo says to try works.

pub mod markdown;
mod programs;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
};

use tempfile::TempDir;

use self::markdown::{Document, root};
use crate::support::{
    process::{ServiceProcess, command, without_settings},
    redis::{PROGRAM, free_port},
};

const DOCUMENTED_URL: &str = "http://127.0.0.1:8080";
/// What the demo means by `$WEBHOOK_SECRET`.
const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const CUT: &str = "----- 8< -----";

/// A command of a document and what the document says it prints.
#[derive(Debug, Default)]
struct Step {
    command: String,
    printed: String,
}

/// The steps of a document's console blocks with the mark `tested`.
fn steps(document: &Document) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in document.blocks().iter().filter(|block| block.language == "console" && block.mark == Some("tested")) {
        for line in &block.lines {
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
pub fn run(commands: &[String], folder: &Path, service: &ServiceProcess) -> Vec<String> {
    let script: String = commands.iter().map(|command| format!("{command}\necho\necho '{CUT}'\n")).collect();
    let programs = [Path::new(PROGRAM).parent().unwrap().to_str().unwrap(), &std::env::var("PATH").unwrap()].join(":");
    let token = service.welcome.split("admin token").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    let output = without_settings("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(folder)
        .env("PATH", programs)
        .env("FLASHSALE_HTTP__ADDR", service.addr.to_string())
        .env("FLASHSALE_REDIS__DATA_DIR", folder.join("data"))
        .env("FLASHSALE_ADMIN__TOKEN", token)
        .env("WEBHOOK_SECRET", WEBHOOK_SECRET)
        .output()
        .unwrap();
    let (printed, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{printed}\n{errors}");
    printed.split(CUT).take(commands.len()).map(|part| part.trim().to_owned()).collect()
}

/// With what differs from run to run made the same: ids, instants and times; and without white space, for the document breaks
/// long lines.
pub fn normal(text: &str) -> String {
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
            token if token.starts_with("review_p") => "review_…",
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

/// A demo that waits for Redis as long as a busy machine may need.
pub fn patient_service(data_dir: &Path) -> ServiceProcess {
    let mut program = command(data_dir);
    program.env("FLASHSALE_REDIS__CALL_TIMEOUT_MS", "20000");
    ServiceProcess::run(program, SocketAddr::from(([127, 0, 0, 1], free_port())))
}

/// The documents whose console blocks are run.
fn runnable() -> Vec<Document> {
    let named = ["README.md", "CONTRIBUTING.md", "RELIABILITY.md"].map(Document::read);
    named.into_iter().chain(Document::pages()).collect()
}

/// All documents.
fn all() -> Vec<Document> {
    let others = ["ARCHITECTURE.md", "CHANGELOG.md", "lua/README.md", "loadtest/README.md", "loadtest/RESULTS.md"];
    runnable().into_iter().chain(others.map(Document::read)).collect()
}

#[test]
fn the_sessions_of_the_documents_print_what_the_documents_say() {
    let mut tested = 0;
    for document in runnable() {
        let steps = steps(&document);
        if steps.is_empty() {
            continue;
        }
        tested += 1;
        let folder = TempDir::with_prefix("fs").unwrap();
        let service = patient_service(&folder.path().join("data"));
        let commands: Vec<String> =
            steps.iter().map(|step| step.command.replace(DOCUMENTED_URL, &service.url())).collect();
        for (step, printed) in steps.iter().zip(run(&commands, folder.path(), &service)) {
            assert_eq!(normal(&printed), normal(&step.printed), "{}: $ {}\n{printed}", document.name, step.command);
        }
    }
    assert!(tested >= 5, "only {tested} documents have sessions");
}

#[test]
fn every_console_block_is_tested_or_says_why_it_cannot_run() {
    let tests = sources(&root().join("tests/it"));
    for document in runnable() {
        for block in document.blocks().iter().filter(|block| block.language == "console") {
            let mark = block.mark.unwrap_or("nothing");
            let by = mark.strip_prefix("tested by ").is_some_and(|test| tests.contains(&format!("fn {test}()")));
            let excused = mark.strip_prefix("not run: ").is_some_and(|reason| !reason.trim().is_empty());
            assert!(mark == "tested" || by || excused, "{} line {} says {mark}", document.name, block.at);
        }
    }
}

#[test]
fn every_link_between_the_documents_leads_somewhere() {
    let documents = all();
    for document in &documents {
        let folder = Path::new(&document.name).parent().unwrap();
        for link in document.links().iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { root().join(&document.name) } else { root().join(folder).join(file) };
            let target = target.canonicalize().unwrap_or_else(|_| panic!("{} links to {link}", document.name));
            let name = target.strip_prefix(root().canonicalize().unwrap()).unwrap().to_str().unwrap().to_owned();
            let has_anchor = anchor.is_empty() || Document::read(&name).anchors().iter().any(|there| there == anchor);
            assert!(has_anchor, "{} links to {link}", document.name);
        }
    }
}

/// The words of a text in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The text of all files below a folder, in one piece. Some tables of the tests are in other encodings.
fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    entries.map(|path| if path.is_dir() { sources(&path) } else { read(&path) }).collect()
}

#[test]
fn every_file_and_function_of_the_walkthroughs_exists() {
    let code = ["src", "lua", "tests"].map(|folder| sources(&root().join(folder))).concat();
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md"].map(Document::read) {
        // A new operation and a new provider do not exist yet.
        let invented = |word: &str| word.contains("transfer") || word.contains('<');
        for word in quoted(&document.prose()).filter(|word| !invented(word)) {
            let is_file = ["src/", "lua/", "tests/"].iter().any(|room| word.starts_with(room)) && !word.contains(' ');
            let is_there = !is_file || root().join(word).exists();
            assert!(is_there, "{} names {word}", document.name);
            if let Some(function) = word.strip_suffix("()") {
                let name = function.rsplit("::").next().unwrap();
                let definitions = [format!("fn {name}("), format!("fn {name}<"), format!("function {name}(")];
                assert!(definitions.iter().any(|one| code.contains(one)), "{} names {word}", document.name);
            }
        }
    }
}

#[test]
fn readme_and_architecture_are_short() {
    for (name, most) in [("README.md", 200), ("ARCHITECTURE.md", 150)] {
        let lines = Document::read(name).text.lines().count();
        assert!(lines <= most, "{name} has {lines} lines");
    }
}

/// What `--help` says of a command.
fn help_of(command_path: &[&str]) -> String {
    let output = command(Path::new("unused")).args(command_path).arg("--help").output().unwrap();
    assert!(output.status.success(), "{command_path:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The long flags that a help defines.
fn flags_of(help: &str) -> BTreeSet<String> {
    let options = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let flags = options.filter_map(|line| {
        let flag = &line[line.find("--")?..];
        Some(flag.split(|c: char| !c.is_ascii_lowercase() && c != '-').next().unwrap().to_owned())
    });
    flags.collect()
}

/// The commands that a help lists.
fn commands_of(help: &str) -> Vec<String> {
    let Some(list) = help.split("\nCommands:\n").nth(1) else { return Vec::new() };
    let rows = list.lines().take_while(|line| !line.is_empty());
    let named = rows.filter(|row| row.starts_with("  ") && !row.starts_with("   "));
    named.map(|row| row.split_whitespace().next().unwrap().to_owned()).filter(|name| name != "help").collect()
}

/// Each command with its subcommands, as the words that call it, and its flags.
fn command_line() -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![String::new()];
    while let Some(path) = waiting.pop() {
        let help = help_of(&path.split_whitespace().collect::<Vec<_>>());
        waiting.extend(commands_of(&help).iter().map(|name| format!("{path} {name}").trim().to_owned()));
        found.insert(path, flags_of(&help));
    }
    assert!(found.len() > 15, "{found:?}");
    found
}

#[test]
fn every_command_and_every_flag_is_documented() {
    let page = Document::read("docs/command-line.md").text;
    let is_flag_there = |flag: &str| {
        let mut places = page.match_indices(flag).map(|(at, _)| page[at + flag.len()..].chars().next());
        places.any(|next| next.is_none_or(|c| !c.is_ascii_lowercase() && c != '-'))
    };
    for (path, flags) in command_line() {
        assert!(path.is_empty() || page.contains(&format!("`{path}")), "docs/command-line.md does not name {path}");
        for flag in flags {
            assert!(is_flag_there(&flag), "docs/command-line.md does not name {flag} of {path}");
        }
    }
}

#[test]
fn the_documents_call_no_command_and_no_flag_that_does_not_exist() {
    let known = command_line();
    for document in all().iter().filter(|document| document.name != "CHANGELOG.md") {
        for call in document.calls() {
            let names = call.iter().take_while(|word| !word.starts_with('-')).take(2).map(String::as_str);
            let names: Vec<&str> = names.collect();
            let path =
                (0..=names.len()).rev().map(|count| names[..count].join(" ")).find(|path| known.contains_key(path));
            let path = path.unwrap();
            assert!(!path.is_empty() || names.is_empty(), "{}: flashsale {}", document.name, call.join(" "));
            for word in call.iter().filter(|word| word.starts_with("--")) {
                let flag = word.split('=').next().unwrap();
                assert!(known[&path].contains(flag), "{}: flashsale {}", document.name, call.join(" "));
            }
        }
    }
}

#[test]
fn every_path_is_documented() {
    let pages = ["docs/api.md", "docs/payments.md"].map(|name| Document::read(name).text).join("\n");
    let routes = Document::read("src/http/routes.rs").text;
    let paths = routes.split('"').skip(1).step_by(2).filter(|literal| literal.starts_with('/'));
    for path in paths.chain(flashsale::webhook::PROVIDERS.iter().map(|provider| provider.path)) {
        assert!(pages.contains(path), "docs/api.md does not name {path}");
    }
}

#[test]
fn every_problem_code_and_every_setting_is_documented() {
    let (api, operations) = (Document::read("docs/api.md").text, Document::read("docs/operations.md").text);
    for code in flashsale::http::problem::Code::ALL {
        let (word, status, _) = code.row();
        let row =
            api.lines().find(|line| line.starts_with(&format!("| {status} |")) && line.contains(&format!("`{word}`")));
        assert!(row.is_some(), "docs/api.md does not name {word} ({status})");
    }
    let mut section = "";
    for line in flashsale::config::DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = name;
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            let row = format!("\n| `{section}.{key}` |");
            assert!(operations.contains(&row), "docs/operations.md does not name {section}.{key}");
        }
    }
}

#[test]
fn the_proof_of_the_readme_proves() {
    let root = root();
    let folder = TempDir::with_prefix("fs").unwrap();
    let service = patient_service(folder.path());
    let rush = || without_settings(root.join("loadtest/rush.sh")).arg(service.url()).output().unwrap();
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
fn the_proof_that_the_demo_names_is_about_that_demo_and_names_what_is_in_its_way() {
    let root = root();
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
    let named = format!("make proof URL={url} API_KEY=\"$API_KEY\"");
    assert!(service.welcome.contains(&named), "{}", service.welcome);
    assert!(
        !service.welcome.contains("a-key-of-some-shop"),
        "a secret of the settings is printed: {}",
        service.welcome
    );
    let proof = |url: &str, key: &str, product: &str| {
        let mut make = without_settings("make");
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
    for (secrets, paid) in [("", "\"outcome\":\"applied\""), (WEBHOOK_SECRET, "200  applied          order paid")] {
        let folder = TempDir::with_prefix("fs").unwrap();
        let mut program = command(&folder.path().join("data"));
        program.envs(Some(("FLASHSALE_WEBHOOK__SECRETS", secrets)).filter(|(_, secrets)| !secrets.is_empty()));
        let service = ServiceProcess::run(program, SocketAddr::from(([127, 0, 0, 1], free_port())));
        let part =
            service.welcome.split("Try it, in another terminal:").nth(1).unwrap().split("Ctrl-C").next().unwrap();
        let commands: Vec<String> =
            part.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
        let printed = run(&commands, folder.path(), &service);
        let all = printed.join("\n");
        for expected in ["\"available_stock\":100", "\"expires_in\":900", "\"status\":\"pending\"", paid, "\"id\":3"] {
            assert!(all.contains(expected), "{expected} in {all}");
        }
        assert!(!all.contains("problems/"), "{all}");
    }
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
        "order",
        "review",
        "payment",
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
fn a_port_that_is_taken_is_reported_before_anything_is_started() {
    let (folder, taken) = (TempDir::with_prefix("fs").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let (data, addr) = (folder.path().join("data"), taken.local_addr().unwrap().to_string());
    let output = command(&data).args(["serve", "--addr", &addr]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains(&addr) && said.contains("--addr"), "{said}");
    assert!(!data.exists(), "a Redis was started for it");
}
