//! Properties of settings, whoever wrote them.

use std::{net::SocketAddr, path::Path};

use config::{Config, File, FileFormat, ValueKind};
use url::Url;

use super::{
    Complaints, Environment, Loaded, Sources, address, encode_password, load, plain_text, redis_url,
    without_credentials,
};

/// Stands in every secret of these tests, and in nothing that may be printed.
const MARK: &str = "hush7";

/// Variables, one a line. What is taken can be printed and taken again, what is refused has a name, and no secret shows.
pub(crate) fn settings(bytes: &[u8]) {
    let text = &*String::from_utf8_lossy(bytes);
    let environment: Environment = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let is_secret = |name: &str| {
        let name = name.to_uppercase();
        ["TOKEN", "TOKENS", "API_KEYS", "SECRETS", "REDIS_URL", "FLASHSALE_REDIS__URL"]
            .iter()
            .any(|end| name.ends_with(end))
    };
    let has_mark = |text: &str| text.to_lowercase().contains(MARK);
    // The host of a URL is no secret.
    let host =
        |value: &str| value.rsplit_once('@').map_or("", |(_, host)| host).split(['/', '?', '#']).next().map(has_mark);
    let would_show = |name: &str, value: &str| {
        has_mark(value) && !is_secret(name) || name.ends_with("URL") && host(value) == Some(true)
    };
    let hides = environment.iter().all(|(name, value)| !has_mark(name) && !would_show(name, value));
    match read(&environment) {
        Ok(loaded) => {
            let shown = loaded.render();
            assert!(!hides || !format!("{shown}{:?}", loaded.settings).contains(MARK), "a secret shows: {shown}");
            if !shown.contains("[hidden]") {
                taken_again(&loaded, &shown);
            }
            exact(&environment, &loaded);
        }
        Err(Complaints(complaints)) => {
            assert!(!complaints.is_empty(), "refused without a reason");
            assert!(!hides || !complaints.concat().contains(MARK), "a secret shows: {complaints:?}");
            assert!(complaints.iter().all(|complaint| complaint.contains(' ')));
        }
    }
}

fn read(environment: &Environment) -> Result<Loaded, Complaints> {
    // A file that says what the defaults say.
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/default.toml"));
    load(Sources { file: Some(file), environment, flags: &Vec::new() }, |_, _| ())
}

/// What `flashsale config` prints, given line by line as flags are.
fn taken_again(loaded: &Loaded, shown: &str) {
    let again = read(&variables(shown)).unwrap_or_else(|complaints| panic!("{complaints}\n{shown}"));
    // Without secrets, which are a map in any order, and are hidden.
    let texts = [&again, loaded].map(|loaded| {
        let mut settings = loaded.settings.clone();
        settings.webhook.secrets.clear();
        format!("{settings:?}")
    });
    assert_eq!(texts[0], texts[1], "{shown}");
    assert_eq!(again.render(), shown);
}

/// The settings of a printed file, as variables.
fn variables(shown: &str) -> Environment {
    let file = Config::builder().add_source(File::from_str(shown, FileFormat::Toml)).build();
    let file = file.unwrap_or_else(|error| panic!("{error}\n{shown}"));
    let mut variables = Environment::new();
    for (section, table) in file.cache.into_table().expect("sections") {
        for (key, value) in table.into_table().expect("settings") {
            let text = match &value.kind {
                ValueKind::Array(items) => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
                kind => kind.to_string(),
            };
            let name = format!("FLASHSALE_{}__{}", section.to_uppercase(), key.to_uppercase());
            variables.extend((!text.is_empty()).then_some((name, text)));
        }
    }
    variables
}

/// A whole number is the one that its digits say.
fn exact(environment: &Environment, loaded: &Loaded) {
    let settings = &loaded.settings;
    for (name, read) in [
        ("FLASHSALE_SALE__HOLD_SECONDS", settings.sale.hold_seconds),
        ("FLASHSALE_HTTP__BACKLOG", settings.http.backlog.into()),
        ("FLASHSALE_EVENTS__KEEP_MAX", settings.events.keep_max),
    ] {
        let Some(given) = environment.get(name) else { continue };
        // The same in other letters comes later.
        if environment.keys().filter(|other| other.to_uppercase() == name).count() > 1 {
            continue;
        }
        let digits = given.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let whole = digits.split_once('.').map_or(digits, |(whole, zeros)| {
            assert!(zeros.bytes().all(|byte| byte == b'0'), "{given:?} is no whole number");
            whole
        });
        assert_eq!(whole.trim_start_matches('0'), read.to_string(), "{given:?}");
    }
}

/// Single values: an address, a URL of Redis, a password in it.
pub(crate) fn values(bytes: &[u8]) {
    let text = &*String::from_utf8_lossy(bytes);
    listening(text);
    if let Ok(plain) = plain_text(text) {
        assert_eq!(plain_text(plain), Ok(plain), "{text:?}");
        assert!(text.contains(plain) && !plain.contains(char::is_control));
    }
    let encoded = encode_password(text);
    let url = format!("redis://app:{encoded}@h:6379/0");
    assert_eq!(redis_url::complaint(&url), None, "{url}");
    let read = Url::parse(&url).expect("an encoded password makes a URL");
    let password = percent_encoding::percent_decode_str(read.password().unwrap_or("")).decode_utf8();
    assert_eq!(password.expect("UTF-8"), text);
    assert_eq!(without_credentials(&url), "redis://[hidden]@h:6379/0");
    // As people forget to encode it.
    let (before, after) = text.split_once('^').unwrap_or((text, ""));
    for url in [
        format!("redis://app:{before}{MARK}{after}@h:6379/0"),
        format!("redis://:{before}{MARK}{after}@h"),
        format!("rediss://h:6379/?password={before}{MARK}{after}&db=1"),
        format!("unix:///run/redis.sock?user=app&pass={before}{MARK}{after}"),
    ] {
        let shown = without_credentials(&url);
        assert!(!shown.to_lowercase().contains(MARK), "{url:?} is shown as {shown:?}");
    }
    assert!(redis_url::complaint(text).is_none_or(|what| !what.is_empty()));
}

fn listening(text: &str) {
    let Ok(read) = address::read(text) else {
        assert!(text.parse::<SocketAddr>().is_err(), "{text:?} is an address");
        return;
    };
    assert_eq!(address::read(&read.to_string()), Ok(read), "{text:?}");
    let port = text.rsplit(':').next().unwrap_or(text);
    assert_eq!(port.trim_start_matches('0'), read.port().to_string().trim_start_matches('0'), "{text:?}");
}
