//! `docker-compose.yml`, and the Dockerfile of its image.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{assert_is_command, texts, yaml};
use crate::{
    house::{code, files, read, root},
    support::{process::without_settings, redis::PROGRAM},
};

const IMAGE: &str = "flashsale";
/// What a user of the compose file can switch on.
const PROFILES: [&str; 4] = ["cluster", "loadtest", "observe", "sentinel"];

fn services() -> Vec<(String, Value)> {
    let file = yaml("docker-compose.yml");
    file["services"].as_object().unwrap().iter().map(|(name, service)| (name.clone(), service.clone())).collect()
}

/// Those that run the program and stay.
fn shops() -> Vec<(String, Value)> {
    let is_shop = |service: &Value| service["image"] == IMAGE && service["command"][0] == "serve";
    services().into_iter().filter(|(_, service)| is_shop(service)).collect()
}

fn address(service: &Value) -> Option<&str> {
    service["networks"]["default"]["ipv4_address"].as_str()
}

/// A line of the Dockerfile, without the word that it begins with.
fn dockerfile(word: &str) -> String {
    let text = read(&root().join("Dockerfile"));
    let found = text.lines().rev().find_map(|line| line.strip_prefix(word).map(str::to_owned));
    found.unwrap_or_else(|| panic!("the Dockerfile has no {word}"))
}

/// The port on which the image listens.
fn port() -> String {
    dockerfile("EXPOSE ")
}

#[test]
fn the_image_listens_where_it_says_checks_itself_and_is_not_root() {
    assert!(dockerfile("ENV ").contains(&format!("FLASHSALE_HTTP__ADDR=0.0.0.0:{} ", port())));
    let user: u32 = dockerfile("USER ").split(':').next().unwrap().parse().unwrap();
    assert!(user > 999, "{user}");
    let (_, check) = dockerfile("HEALTHCHECK ").split_once("CMD ").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let check: Vec<String> = serde_json::from_str(&check).unwrap();
    let entry: Vec<String> = serde_json::from_str(&dockerfile("ENTRYPOINT ")).unwrap();
    assert_eq!(check[0], entry[0], "the program has one place");
    assert_is_command(&check[1..].iter().map(String::as_str).collect::<Vec<_>>());
    let command: Vec<String> = serde_json::from_str(&dockerfile("CMD ")).unwrap();
    assert_is_command(&command.iter().map(String::as_str).collect::<Vec<_>>());
}

/// Folders whose files are part of the program, by the macros that read them. Only unit tests read docs/.
fn read_at_compile_time() -> BTreeSet<String> {
    let mut found = BTreeSet::from(["src".to_owned()]);
    for file in files("src", "rs") {
        let text = code(&file);
        for line in
            text.lines().filter(|line| ["include_str!", "include_bytes!"].iter().any(|name| line.contains(name)))
        {
            let quoted =
                line.split('"').skip(1).step_by(2).filter_map(|path| path.trim_matches(['.', '/']).split('/').next());
            found.extend(quoted.filter(|name| *name != "docs" && root().join(name).is_dir()).map(str::to_owned));
        }
    }
    found
}

#[test]
fn the_build_gets_every_folder_that_is_part_of_the_program() {
    let ignored = read(&root().join(".dockerignore"));
    let given: BTreeSet<_> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let needed = read_at_compile_time();
    assert!(needed.contains("lua") && needed.contains("web"), "{needed:?}");
    for folder in needed.iter().map(String::as_str).chain(["Cargo.toml", "Cargo.lock"]) {
        assert!(given.contains(folder), ".dockerignore leaves out {folder}");
    }
    // The workspace has another member.
    let member = other_member();
    assert!(given.contains(member.as_str()), ".dockerignore leaves out {member}");
}

/// The one other member of the workspace.
fn other_member() -> String {
    let manifest = read(&root().join("Cargo.toml"));
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = ")).unwrap();
    let members: Vec<String> = serde_json::from_str(members).unwrap();
    assert_eq!(members.len(), 1, "{members:?}");
    members[0].clone()
}

#[test]
fn three_replicas_start_without_a_profile_and_each_profile_adds_something() {
    let services = services();
    let of = |profile: &Value| texts(profile).into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    let always: Vec<_> = services.iter().filter(|(_, service)| of(&service["profiles"]).is_empty()).collect();
    let names: BTreeSet<_> = always.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["nginx", "redis", "secrets", "shop-1", "shop-2", "shop-3"]));
    let profiles: BTreeSet<_> = services.iter().flat_map(|(_, service)| of(&service["profiles"])).collect();
    assert_eq!(profiles, PROFILES.map(str::to_owned).into());
}

/// An engine without `BuildKit` builds for each service that says how, all at once, and knows only afterwards that it was the same.
#[test]
fn the_image_is_built_once_and_each_profile_can_build_it() {
    let services = services();
    let ours = services.iter().filter(|(_, service)| service["image"] == IMAGE);
    let mut builders: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, service) in ours {
        let builds = builders.entry(service["profiles"].to_string()).or_default();
        if !service["build"].is_null() {
            builds.push(name);
        }
    }
    assert_eq!(builders.len(), PROFILES.len(), "without a profile, and in all but observe: {builders:?}");
    assert!(builders.values().all(|names| names.len() == 1), "{builders:?}");
}

#[test]
fn what_a_service_mounts_follows_and_publishes_is_there() {
    let file = yaml("docker-compose.yml");
    let services = services();
    let names: BTreeSet<_> = services.iter().map(|(name, _)| name.as_str()).collect();
    let mut mounted = 0;
    for (name, service) in &services {
        for volume in texts(&service["volumes"]) {
            let source = volume.split(':').next().unwrap();
            match source.strip_prefix("./") {
                Some(path) => assert!(root().join(path).exists(), "{name} mounts {source}"),
                None => assert!(file["volumes"].as_object().unwrap().contains_key(source), "{name} mounts {source}"),
            }
            mounted += 1;
        }
        let after = &service["depends_on"];
        let after = after.as_object().map_or_else(|| texts(after), |all| all.keys().map(String::as_str).collect());
        for other in after {
            assert!(names.contains(other), "{name} waits for {other}");
        }
        for published in texts(&service["ports"]) {
            let is_of_this_machine =
                published.starts_with("127.0.0.1:") || published.starts_with("${LISTEN:-127.0.0.1:");
            assert!(is_of_this_machine, "{name} is open to everybody: {published}");
            let inside = published.rsplit(':').next().unwrap();
            assert!(service["image"] != IMAGE || inside == port(), "{name} publishes {inside}");
        }
        assert!(!service["image"].as_str().unwrap().ends_with("latest"), "{name} has no version");
    }
    assert!(mounted > 10, "{mounted}");
}

/// The image of Redis has its working folder in a volume of its own. Without a name, the engine makes one for each `up` and keeps it after
/// each `down`, and nobody finds again what was in it.
#[test]
fn what_a_redis_writes_is_in_a_volume_with_a_name_or_in_none() {
    let mut owners = BTreeMap::new();
    let services = services();
    let servers = services.iter().filter(|(_, service)| service["image"].as_str().unwrap().starts_with("redis:"));
    for (name, service) in servers {
        let folder = service["working_dir"].as_str().unwrap_or("/data");
        let volumes = texts(&service["volumes"]);
        let named = volumes.iter().find_map(|volume| volume.strip_suffix(folder)?.strip_suffix(':'));
        assert!(named.is_some() || texts(&service["tmpfs"]).contains(&folder), "{name} gives {folder} no name");
        if let Some(volume) = named {
            assert_eq!(owners.insert(volume, name), None, "{name} writes where another one does");
        }
    }
    assert!(owners.len() > 10, "{owners:?}");
}

#[test]
fn no_address_is_given_twice_and_nginx_knows_those_of_the_services() {
    let services = services();
    let mut owners = BTreeMap::new();
    for (name, service) in &services {
        if let Some(address) = address(service) {
            assert_eq!(owners.insert(address, name.as_str()), None, "{name} has an address of another one");
        }
    }
    let (_, nginx) = services.iter().find(|(name, _)| name == "nginx").unwrap();
    let hosts = texts(&nginx["extra_hosts"]);
    assert_eq!(hosts.len(), 3, "{hosts:?}");
    for host in hosts {
        let (name, address) = host.split_once(':').unwrap();
        assert_eq!(owners.get(address), Some(&name));
    }
    let create = &services.iter().find(|(name, _)| name == "cluster").unwrap().1["command"];
    for member in texts(create) {
        assert!(owners[member.strip_suffix(":6379").unwrap()].starts_with("cluster-"), "{member}");
    }
    // A sentinel that knows a server by a name and by an address does not start again after a fail-over.
    for name in ["sentinel-1", "sentinel-2", "sentinel-3", "redis-replica"] {
        let (_, watching) = services.iter().find(|(other, _)| other == name).unwrap();
        let argument = texts(&watching["command"])[2];
        let address = argument.strip_prefix("replicaof ").map_or(argument, |rest| rest.strip_suffix(" 6379").unwrap());
        assert_eq!(owners.get(address), Some(&"redis-primary"), "{name}: {argument}");
    }
    for (name, shop) in shops() {
        let trusted = &shop["environment"]["FLASHSALE_HTTP__TRUSTED_PROXIES"];
        assert_eq!(trusted.as_str(), address(nginx), "{name} believes another address than that of nginx");
    }
}

#[test]
fn nginx_and_prometheus_ask_each_replica() {
    let names: BTreeSet<_> =
        shops().into_iter().filter(|(_, shop)| shop["profiles"].is_null()).map(|(name, _)| name).collect();
    let all: BTreeSet<_> = names.iter().map(|name| format!("{name}:{}", port())).collect();
    let nginx = read(&root().join("deploy/nginx/flashsale.conf"));
    let upstreams = nginx.lines().filter_map(|line| line.trim().strip_prefix("server ")?.split_whitespace().next());
    assert_eq!(upstreams.filter(|word| *word != "{").map(str::to_owned).collect::<BTreeSet<_>>(), all);
    let prometheus = yaml("deploy/prometheus/compose.yml");
    let targets = texts(&prometheus["scrape_configs"][0]["static_configs"][0]["targets"]);
    assert_eq!(targets.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), all);
    let nginx_port = nginx.lines().find_map(|line| line.trim().strip_prefix("listen ")?.strip_suffix(';')).unwrap();
    let (_, proxy) = services().into_iter().find(|(name, _)| name == "nginx").unwrap();
    assert_eq!(texts(&proxy["ports"])[0].rsplit(':').next(), Some(nginx_port));
}

/// The secrets as `deploy/compose/secrets.sh` makes them.
fn make_secrets() -> TempDir {
    let folder = TempDir::with_prefix("fs").unwrap();
    let script = root().join("deploy/compose/secrets.sh");
    let made = Command::new("sh").arg(script).arg(folder.path()).status().unwrap();
    assert!(made.success());
    folder
}

/// `flashsale config` with the environment of a service.
fn config_of(service: &Value, secrets: &TempDir) -> String {
    let mut program = without_settings(PROGRAM);
    program.env_remove("REDIS_URL").current_dir(secrets.path()).arg("config");
    for (name, value) in service["environment"].as_object().unwrap() {
        let value = match value {
            // As in the shell that starts it: not set.
            Value::Null => continue,
            Value::String(text) => text.replace("/secrets", secrets.path().to_str().unwrap()),
            other => other.to_string(),
        };
        program.env(name, value);
    }
    let output = program.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn number(config: &str, key: &str) -> u64 {
    let value = config.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
    value.unwrap_or_else(|| panic!("no {key} in {config}")).parse().unwrap()
}

#[test]
fn each_service_takes_its_environment_and_has_time_to_stop() {
    let secrets = make_secrets();
    let shops = shops();
    assert_eq!(shops.len(), 5);
    for (name, shop) in shops {
        let config = config_of(&shop, &secrets);
        let seconds = number(&config, "drain_seconds") + number(&config, "shutdown_seconds");
        let grace = shop["stop_grace_period"].as_str().unwrap().strip_suffix('s').unwrap();
        assert!(grace.parse::<u64>().unwrap() > seconds, "{name} is killed before it has stopped");
        assert!(number(&config, "drain_seconds") > 3, "nginx keeps connections for three seconds");
        assert_eq!(config.matches("trusted_proxies = [\"172.").count(), 1, "{config}");
        assert_is_command(&texts(&shop["command"]));
        assert_eq!((&shop["read_only"], &shop["cap_drop"]), (&true.into(), &serde_json::json!(["ALL"])), "{name}");
    }
    let (_, rush) = services().into_iter().find(|(name, _)| name == "rush").unwrap();
    config_of(&rush, &secrets);
    assert_is_command(&texts(&rush["command"]));
}

#[test]
fn secrets_are_made_once_and_differ() {
    let secrets = make_secrets();
    let of = |name: &str| read(&secrets.path().join(name));
    let (settings, admin, metrics) = (of("flashsale.toml"), of("admin-token"), of("metrics-token"));
    assert!(admin.trim().len() >= 32 && admin != metrics, "{admin} {metrics}");
    assert!(settings.contains(admin.trim()) && settings.contains(metrics.trim()), "{settings}");
    let script = root().join("deploy/compose/secrets.sh");
    assert!(Command::new("sh").arg(script).arg(secrets.path()).status().unwrap().success());
    assert_eq!((of("flashsale.toml"), of("admin-token")), (settings, admin), "a second start keeps them");
}
