//! Gathers the layers with the `config` crate, and reads them key by key so that every complaint is made.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::Path,
    str::FromStr,
};

use config::{Config, File, FileFormat, Value, ValueKind};

use super::{
    Complaints, DEFAULTS, Environment, FILE, HIDDEN, Secret, Sources,
    given::{self, Place},
    without_credentials,
};

const PREFIX: &str = "FLASHSALE_";

/// The values in force, by dotted key, and everything that is wrong with them.
pub(super) struct Reader {
    values: BTreeMap<String, Value>,
    /// The keys that somebody gave, in whatever place.
    given: BTreeSet<String>,
    /// How [`Reader::render`] hides what was read as a secret.
    hidden: BTreeMap<String, Hides>,
    pub(super) complaints: Complaints,
}

#[derive(Clone, Copy)]
enum Hides {
    Text,
    List,
    /// A URL shows where it leads.
    Credentials,
}

impl Reader {
    pub(super) fn gather(sources: Sources<'_>) -> Result<Self, Complaints> {
        let stop = |error: config::ConfigError| Complaints(vec![without_excerpt(&error.to_string())]);
        let defaults =
            Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml)).build().map_err(stop)?;
        let mut reader = Self {
            values: flat(defaults),
            given: BTreeSet::new(),
            hidden: BTreeMap::new(),
            complaints: Complaints::default(),
        };
        let path = sources.file.unwrap_or(Path::new(FILE));
        let file = if path.exists() && !path.is_file() {
            // A pipe, as of a shell's `<(…)`, which the library takes for a file that is not there.
            let text =
                fs::read_to_string(path).map_err(|error| Complaints(vec![format!("{}: {error}", path.display())]))?;
            Config::builder().add_source(File::from_str(&text, FileFormat::Toml)).build()
        } else {
            let file = File::from(path).format(FileFormat::Toml).required(sources.file.is_some());
            Config::builder().add_source(file).build()
        };
        for (key, value) in flat(file.map_err(stop)?) {
            reader.put(&key, value, Place::File);
        }
        reader.put_environment(sources.environment);
        for (key, value) in sources.flags {
            reader.put(key, Value::from(value.clone()), Place::Flag);
        }
        Ok(reader)
    }

    fn put_environment(&mut self, environment: &Environment) {
        let mut names: Vec<_> = environment.iter().collect();
        names.sort();
        // First, so that FLASHSALE_REDIS__URL overrides it.
        if let Some(url) = environment.get("REDIS_URL") {
            self.put("redis.url", Value::from(url.clone()), Place::Variable("REDIS_URL"));
        }
        for (name, value) in names {
            if let Some(key) = name.strip_prefix(PREFIX).filter(|key| !given::is_service_link(key, value)) {
                self.put(&key.to_lowercase().replacen("__", ".", 1), Value::from(value.clone()), Place::Variable(name));
            }
        }
    }

    /// Takes a value in the type of its default.
    fn put(&mut self, key: &str, value: Value, place: Place<'_>) {
        let Some(slot) = self.values.get_mut(key) else {
            self.complaints.0.push(format!("{key} ({place}): there is no such setting{}", self.nearest(key)));
            return;
        };
        self.given.insert(key.to_owned());
        match given::read(value, &slot.kind, place) {
            Ok(kind) => *slot = Value::new(None, kind),
            Err(what) => self.complaints.add(key, &format!("({place}) {what}")),
        }
    }

    /// A hint at a setting whose name ends or begins alike, or has `_` where the environment wants two.
    fn nearest(&self, key: &str) -> String {
        let last = key.rsplit('.').next().unwrap_or(key);
        let is_alike = |known: &&String| {
            known.ends_with(&format!(".{last}")) || known.starts_with(key) || known.replace('.', "_") == key
        };
        self.values.keys().find(is_alike).map_or_else(String::new, |known| format!("; did you mean {known}?"))
    }

    pub(super) fn complain(&mut self, key: &str, what: &str) {
        self.complaints.add(key, what);
    }

    /// Whether the file, the environment or a flag gave this setting. Its value may be the default.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.given.contains(key)
    }

    /// The settings that were read as secrets.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.hidden.keys().map(String::as_str)
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
        let text = self.text(key);
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if is_number && (least..=most).contains(&number) => number,
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
        self.hidden.insert(key.to_owned(), Hides::Text);
        Some(self.text(key)).filter(|text| !text.is_empty()).map(Secret::new)
    }

    pub(super) fn secrets_of(&mut self, key: &str) -> Vec<Secret> {
        self.hidden.insert(key.to_owned(), Hides::List);
        self.list(key).into_iter().map(Secret::new).collect()
    }

    /// All lists of secrets of a section: the settings whose names end in `secrets`.
    pub(super) fn secrets_in(&mut self, section: &str) -> HashMap<String, Vec<Secret>> {
        let is_meant = |key: &&String| key.starts_with(section) && key.ends_with("secrets");
        let keys: Vec<String> = self.values.keys().filter(is_meant).cloned().collect();
        keys.into_iter().map(|key| (key.clone(), self.secrets_of(&key))).collect()
    }

    /// A URL that may hold credentials.
    pub(super) fn secret_url(&mut self, key: &str) -> Option<Secret> {
        self.hidden.insert(key.to_owned(), Hides::Credentials);
        Some(self.text(key)).filter(|text| !text.is_empty()).map(Secret::new)
    }

    /// A list, of which no item is empty.
    pub(super) fn list(&self, key: &str) -> Vec<String> {
        let items = self.values.get(key).cloned().and_then(|value| value.into_array().ok()).unwrap_or_default();
        items.into_iter().filter_map(|item| item.into_string().ok()).collect()
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

    /// TOML, in the order of the defaults.
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
        if let Some(hides) = self.hidden.get(key).filter(|_| is_set) {
            return match hides {
                Hides::Text => format!("{HIDDEN:?}"),
                Hides::List => format!("[{HIDDEN:?}]"),
                Hides::Credentials => format!("{:?}", without_credentials(&value.kind.to_string())),
            };
        }
        match &value.kind {
            ValueKind::Array(values) => {
                let shown: Vec<_> = values.iter().map(|value| format!("{:?}", value.kind.to_string())).collect();
                format!("[{}]", shown.join(", "))
            }
            ValueKind::Boolean(_) | ValueKind::I64(_) | ValueKind::U64(_) | ValueKind::Float(_) => {
                value.kind.to_string()
            }
            kind => format!("{:?}", kind.to_string()),
        }
    }
}

/// An error of the TOML reader without the lines of the file that it quotes: a secret may stand there.
fn without_excerpt(error: &str) -> String {
    let is_excerpt =
        |line: &str| line.trim_start_matches([' ', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']).starts_with('|');
    error.lines().filter(|line| !is_excerpt(line)).collect::<Vec<_>>().join(": ")
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
