//! Gathers the layers with the `config` crate, and reads them key by key so that every complaint is made.

use std::{collections::BTreeMap, path::Path, str::FromStr};

use config::{Config, File, FileFormat, Value, ValueKind};

use super::{Complaints, DEFAULTS, Environment, FILE, Overrides, Secret};

const PREFIX: &str = "FLASHSALE_";
/// Keys whose values are never printed.
const HIDDEN_TEXT: &str = "admin.token";
const HIDDEN_LISTS: [&str; 5] =
    ["webhook.secrets", "webhook.stripe_secrets", "admin.tokens", "admin.read_tokens", "http.api_keys"];

/// All settings by their dotted key, in force, and what is wrong with them.
pub(super) struct Reader {
    values: BTreeMap<String, Value>,
    complaints: Vec<String>,
}

impl Reader {
    pub(super) fn gather(
        file: Option<&Path>,
        environment: &Environment,
        flags: &Overrides,
    ) -> Result<Self, Complaints> {
        let stop = |error: config::ConfigError| Complaints(vec![error.to_string()]);
        let defaults =
            flat(Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml)).build().map_err(stop)?);
        let mut reader = Self { values: defaults, complaints: Vec::new() };
        let named = File::from(file.unwrap_or(Path::new(FILE))).format(FileFormat::Toml).required(file.is_some());
        for (key, value) in flat(Config::builder().add_source(named).build().map_err(stop)?) {
            reader.put(&key, value, "the file");
        }
        reader.put_environment(environment);
        for (key, value) in flags {
            reader.put(key, Value::from(value.clone()), "a flag");
        }
        Ok(reader)
    }

    fn put_environment(&mut self, environment: &Environment) {
        let mut names: Vec<_> = environment.iter().collect();
        names.sort();
        // Read first, so that our own name wins.
        if let Some(url) = environment.get("REDIS_URL") {
            self.put("redis.url", Value::from(url.clone()), "REDIS_URL");
        }
        for (name, value) in names {
            if let Some(key) = name.strip_prefix(PREFIX) {
                self.put(&key.to_lowercase().replacen("__", ".", 1), Value::from(value.clone()), name);
            }
        }
    }

    fn put(&mut self, key: &str, value: Value, from: &str) {
        match self.values.get_mut(key) {
            Some(slot) => *slot = value,
            None => self.complaints.push(format!("{key} ({from}): there is no such setting{}", self.nearest(key))),
        }
    }

    /// A hint, when another key ends or begins alike.
    fn nearest(&self, key: &str) -> String {
        let last = key.rsplit('.').next().unwrap_or(key);
        let alike = self.values.keys().find(|known| known.ends_with(&format!(".{last}")) || known.starts_with(key));
        alike.map_or_else(String::new, |known| format!("; did you mean {known}?"))
    }

    pub(super) fn complain(&mut self, key: &str, what: &str) {
        self.complaints.push(format!("{key} {what}"));
    }

    pub(super) fn finish<T>(self, settings: T) -> Result<T, Complaints> {
        if self.complaints.is_empty() { Ok(settings) } else { Err(Complaints(self.complaints)) }
    }

    pub(super) fn text(&mut self, key: &str) -> String {
        let value = self.values.get(key).cloned().unwrap_or_else(|| Value::from(""));
        value.into_string().map_or_else(
            |_| {
                self.complain(key, "must be a text");
                String::new()
            },
            |text| text.trim().to_owned(),
        )
    }

    /// A text that must not be empty.
    pub(super) fn present(&mut self, key: &str) -> String {
        let text = self.text(key);
        if text.is_empty() {
            self.complain(key, "must not be empty");
        }
        text
    }

    pub(super) fn parsed<T: FromStr>(&mut self, key: &str, what: &str, instead: T) -> T {
        self.text(key).parse().unwrap_or_else(|_| {
            self.complain(key, &format!("must be {what}"));
            instead
        })
    }

    pub(super) fn number(&mut self, key: &str, least: u64, most: u64) -> u64 {
        match self.text(key).parse() {
            Ok(number) if (least..=most).contains(&number) => number,
            _ => {
                self.complain(key, &format!("must be a whole number from {least} to {most}"));
                least
            }
        }
    }

    pub(super) fn count(&mut self, key: &str, least: u64, most: u64) -> usize {
        usize::try_from(self.number(key, least, most)).unwrap_or(usize::MAX)
    }

    pub(super) fn flag(&mut self, key: &str) -> bool {
        self.parsed(key, "true or false", false)
    }

    pub(super) fn secret(&mut self, key: &str) -> Option<Secret> {
        Some(self.text(key)).filter(|text| !text.is_empty()).map(Secret)
    }

    pub(super) fn secrets(&mut self, key: &str) -> Vec<Secret> {
        self.list(key).into_iter().filter(|text| !text.is_empty()).map(Secret).collect()
    }

    /// A list in a file, or a text separated by commas; a part may be empty.
    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        let value = self.values.get(key).cloned();
        match value.map(|value| value.kind) {
            Some(ValueKind::Array(values)) => {
                values.into_iter().map(|value| value.into_string().unwrap_or_default().trim().to_owned()).collect()
            }
            _ => match self.text(key).as_str() {
                "" => Vec::new(),
                text => text.split(',').map(|part| part.trim().to_owned()).collect(),
            },
        }
    }

    /// `None` for 0.
    pub(super) fn rate(&mut self, key: &str, least: f64, most: f64) -> Option<f64> {
        match self.text(key).parse() {
            Ok(0.0) => None,
            Ok(rate) if (least..=most).contains(&rate) => Some(rate),
            _ => {
                self.complain(key, &format!("must be 0, or a number from {least} to {most}"));
                None
            }
        }
    }

    /// As TOML, in the order of the defaults.
    pub(super) fn render(&self) -> String {
        let mut out = String::new();
        let mut section = "";
        for line in DEFAULTS.lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                section = name;
                out.push_str(if out.is_empty() { "" } else { "\n" });
                out.push_str(line);
                out.push('\n');
            } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
                let dotted = format!("{section}.{key}");
                out.extend([key, " = ", &self.shown(&dotted), "\n"]);
            }
        }
        out
    }

    fn shown(&self, key: &str) -> String {
        let Some(value) = self.values.get(key) else { return String::new() };
        let is_set = match &value.kind {
            ValueKind::Array(values) => !values.is_empty(),
            kind => !kind.to_string().is_empty(),
        };
        match &value.kind {
            ValueKind::String(url) if key == "redis.url" => format!("{:?}", without_user(url)),
            _ if key == HIDDEN_TEXT && is_set => "\"[hidden]\"".to_owned(),
            _ if HIDDEN_LISTS.contains(&key) && is_set => "[\"[hidden]\"]".to_owned(),
            ValueKind::Array(values) => {
                let shown: Vec<_> = values.iter().map(|value| format!("{:?}", value.kind.to_string())).collect();
                format!("[{}]", shown.join(", "))
            }
            ValueKind::Boolean(_) | ValueKind::I64(_) | ValueKind::U64(_) | ValueKind::Float(_) => {
                value.kind.to_string()
            }
            kind => bare_or_quoted(&kind.to_string()),
        }
    }
}

/// A URL without user and password.
fn without_user(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://[hidden]@{place}"),
        _ => url.to_owned(),
    }
}

/// What came from the environment is text; numbers and truth values are shown as such.
fn bare_or_quoted(text: &str) -> String {
    let bare = text.parse::<i64>().is_ok() || text.parse::<bool>().is_ok();
    if bare { text.to_owned() } else { format!("{text:?}") }
}

fn flat(config: Config) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    flatten("", config.cache, &mut values);
    values
}

fn flatten(prefix: &str, value: Value, into: &mut BTreeMap<String, Value>) {
    match value.kind {
        ValueKind::Table(table) => {
            for (key, value) in table {
                let dotted = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
                flatten(&dotted, value, into);
            }
        }
        kind => {
            into.insert(prefix.to_owned(), Value::new(None, kind));
        }
    }
}
