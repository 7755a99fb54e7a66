//! Every secret has a mark, and all that a service ever writes is searched for it: answers of all routes, logs in both formats
//! and at every level, exports, command lines, environments of other processes, and the files of the data folder.

use std::{
    fs,
    io::Write,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};

use flashsale::{
    app::load_settings,
    config::{Environment, Sources},
};
use tempfile::TempDir;

use crate::{
    secrets::{MARK, exchange, secrets, variable},
    support::{
        process::{ServiceProcess, command},
        redis::{ServerProcess, free_port, pid, signal_process},
        routes,
    },
};

/// Good values for all secrets, where a token of the list has a name.
fn good_secrets() -> Vec<(String, String)> {
    let named = |(name, value): (String, String)| {
        let value = if name == "admin.tokens" { format!("anna:{value}") } else { value };
        (name, value)
    };
    secrets().into_iter().map(named).collect()
}

fn environment(secrets: &[(String, String)]) -> impl Iterator<Item = (String, String)> {
    secrets.iter().map(|(name, value)| (variable(name), value.clone()))
}

/// What a caller shows who has the secrets, who has nearly the secrets, and who shows them in the wrong place.
fn credentials(secrets: &[(String, String)]) -> Vec<String> {
    let value = |name: &str| {
        let (_, value) = secrets.iter().find(|(known, _)| known == name).unwrap();
        value.rsplit(':').next().unwrap().to_owned()
    };
    let (token, named, key) = (value("admin.token"), value("admin.tokens"), value("http.api_keys"));
    vec![
        format!("Authorization: Bearer {token}\r\nX-Api-Key: {key}"),
        format!("Authorization: Bearer {named}\r\nX-Api-Key: {key}"),
        format!("Authorization: Bearer {token}x\r\nX-Api-Key: {key}x"),
        format!("Authorization: Bearer {key}\r\nX-Api-Key: {token}"),
        format!(
            "webhook-id: {token}\r\nwebhook-timestamp: 1\r\nwebhook-signature: v1,{key}\r\nStripe-Signature: t=1,v1={key}"
        ),
    ]
}

#[test]
fn no_answer_no_log_and_no_export_of_a_service_shows_a_secret() {
    let redis = ServerProcess::start(&[]);
    let mut open = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    let user = ["SETUSER", "app", "on", &format!(">{MARK}"), "~*", "&*", "+@all"];
    redis::cmd("ACL").arg(&user).exec(&mut open).unwrap();
    let secrets = good_secrets();
    for format in ["text", "json"] {
        let folder = TempDir::with_prefix("fs").unwrap();
        let addr = format!("127.0.0.1:{}", free_port());
        let log = folder.path().join("log");
        let mut program = command(folder.path());
        program.args(["serve", "--addr", &addr]).envs(environment(&secrets));
        program.env("FLASHSALE_REDIS__URL", redis.url().replace("://", &format!("://app:{MARK}@")));
        program.env("FLASHSALE_LOG__FILTER", "trace").env("FLASHSALE_LOG__FORMAT", format);
        let mut service = program.stdout(Stdio::piped()).stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
        while std::net::TcpStream::connect(&addr).is_err() {
            assert!(service.try_wait().unwrap().is_none(), "{}", fs::read_to_string(&log).unwrap());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let mut seen = arguments_of(service.id());
        let mut calls = 0;
        for credential in credentials(&secrets) {
            // A body is read where a call takes one, and is a mistake everywhere else.
            let bodies =
                ["", r#"{"id":1,"name":"Item","price":"1.00","total_stock":3,"product_id":1,"quantity":1}"#, "{"];
            for (method, path) in routes::all() {
                let waits = if path.contains("audit") || method == "GET" { &bodies[..1] } else { &bodies[1..] };
                for body in waits {
                    seen.push_str(&exchange(&addr, method.as_str(), &path, &credential, body));
                    calls += 1;
                }
            }
            for path in ["/api/admin/orders/export?format=csv", "/api/admin/events?limit=100", "/nothing"] {
                seen.push_str(&exchange(&addr, "GET", path, &credential, ""));
            }
        }
        for arguments in [&["audit"][..], &["config"], &["product", "list"], &["order", "list"], &["healthcheck"]] {
            let mut tool = command(folder.path());
            tool.args(arguments).envs(environment(&secrets)).env("FLASHSALE_URL", format!("http://{addr}"));
            seen.push_str(&printed(&mut tool));
        }
        let signing: String = redis::cmd("GET").arg("fs1:{:all}:secret").query(&mut open).unwrap();
        signal_process(service.id(), "TERM");
        let ended = service.wait_with_output().unwrap();
        let logged = fs::read_to_string(&log).unwrap();
        assert!(ended.status.success(), "{logged}");
        seen.push_str(&String::from_utf8_lossy(&ended.stdout));
        assert!(calls > 300 && logged.lines().count() > calls, "{calls} calls, {} lines", logged.lines().count());
        assert!(["HTTP/1.1 200 ", "HTTP/1.1 401 ", "HTTP/1.1 400 "].iter().all(|status| seen.contains(status)));
        for (what, text) in [("an answer", &seen), ("the log", &logged)] {
            for secret in [MARK, &*signing] {
                let line = text.lines().find(|line| line.contains(secret));
                assert!(line.is_none(), "{format}: {what} shows a secret: {line:?}");
            }
        }
    }
}

fn printed(program: &mut Command) -> String {
    let output = program.output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn arguments_of(pid: u32) -> String {
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&arguments).replace('\0', " ")
}

#[test]
fn neither_the_guard_nor_the_embedded_server_gets_a_secret_and_no_file_has_one() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let data = folder.path().join("data");
    let mut program = command(&data);
    program.envs(environment(&good_secrets()));
    let service = ServiceProcess::run(program, SocketAddr::from(([127, 0, 0, 1], free_port())));
    let socket = redis::ConnectionAddr::Unix(data.join("redis.sock"));
    let info = redis::IntoConnectionInfo::into_connection_info(socket).unwrap();
    let server = pid(&mut redis::Client::open(info).unwrap().get_connection().unwrap());
    assert!(!arguments_of(service.pid()).contains(MARK));
    if Path::new("/proc/self/environ").exists() {
        let status = fs::read_to_string(format!("/proc/{server}/status")).unwrap();
        let guard = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap();
        let own = fs::read(format!("/proc/{}/environ", service.pid())).unwrap();
        assert!(String::from_utf8_lossy(&own).contains(MARK), "the service was given none");
        // A server writes its title over its environment, a guard does not.
        assert!(String::from_utf8_lossy(&fs::read(format!("/proc/{guard}/environ")).unwrap()).contains("PATH="));
        for pid in [server, guard] {
            let given = fs::read(format!("/proc/{pid}/environ")).unwrap();
            let given = String::from_utf8_lossy(&given).into_owned() + &arguments_of(pid);
            assert!(!given.contains(MARK), "{given}");
        }
    }
    assert!(service.stop());
    let mut folders = vec![data];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                let bytes = fs::read(&path).unwrap();
                assert!(!String::from_utf8_lossy(&bytes).contains(MARK), "{}", path.display());
            }
        }
    }
}

/// A panic prints values by `Debug`, and so does whoever looks for a fault.
#[test]
fn settings_that_a_programmer_prints_show_no_secret() {
    let nothing = tempfile::NamedTempFile::new().unwrap();
    let mut given: Environment = environment(&good_secrets()).collect();
    given.insert("REDIS_URL".to_owned(), format!("redis://app:{MARK}@127.0.0.1:6379"));
    let sources = Sources { file: Some(nothing.path()), environment: &given, flags: &vec![] };
    let loaded = load_settings(sources).unwrap();
    let printed = format!("{:?} {:#?}", loaded.settings, loaded.settings);
    assert!(printed.contains("[hidden]") && !printed.contains(MARK), "{printed}");
}

/// A password is encoded from standard input, so that no list of processes has it.
#[test]
fn a_token_that_a_tool_is_given_is_not_printed_when_its_call_fails() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let nobody = format!("http://127.0.0.1:{}", free_port());
    for url in [&nobody, "http://[", "https://127.0.0.1:1"] {
        for tool in [&["audit"][..], &["order", "list"], &["product", "list"], &["export"], &["event", "list"]] {
            let mut program = command(folder.path());
            program.args(tool).args(["--url", url, "--token", &format!("{MARK}{MARK}")]);
            let seen = printed(&mut program);
            assert!(!seen.is_empty() && !seen.contains(MARK), "{tool:?}: {seen}");
        }
    }
    let mut encoding = command(folder.path());
    encoding.args(["config", "encode-password"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut encoding = encoding.spawn().unwrap();
    encoding.stdin.take().unwrap().write_all(b"p@ss\n").unwrap();
    assert_eq!(encoding.wait_with_output().unwrap().stdout, b"p%40ss\n");
}
