//! What a client may rely on in `web/openapi.json`, a line each, against the lines that are kept in `relied-on.txt`. Nothing of it may
//! disappear, and a request may not want more than it did, unless somebody says so: `make relied-on REMOVED=yes`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use serde_json::{Map, Value};

use crate::house::{read, root};

/// The word in the lines that may not become more.
const WANTS: &str = " wants ";

/// Who reads a schema.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    /// The service: what a client sends.
    Sent,
    /// The client.
    Answered,
}

impl Side {
    fn verb(self) -> &'static str {
        match self {
            Self::Sent => "takes",
            Self::Answered => "has",
        }
    }
}

/// The lines of a document.
struct Reader<'a> {
    document: &'a Value,
    lines: BTreeSet<String>,
    /// How often one was added, known or not.
    said: usize,
    /// Named schemas that were met, and on which side.
    met: BTreeSet<(String, Side)>,
}

/// What a client may rely on, a line each: `createHold answers 409 code insufficient_stock`, `Order has .customer_id null|string`.
fn relied_on(document: &Value) -> BTreeSet<String> {
    let mut reader = Reader { document, lines: BTreeSet::new(), said: 0, met: BTreeSet::new() };
    for (path, methods) in members(&document["paths"]) {
        for (method, operation) in members(methods).filter(|(name, _)| *name != "parameters") {
            reader.operation(path, method, methods, operation);
        }
    }
    let mut done = BTreeSet::new();
    while let Some((name, side)) = reader.met.difference(&done).next().cloned() {
        let schema = &document["components"]["schemas"][&name];
        reader.schema(schema, side, &name, "");
        done.insert((name, side));
    }
    reader.lines
}

impl<'a> Reader<'a> {
    fn resolved(&self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.resolved(self.document.pointer(&reference[1..]).expect("what a reference names")),
            None => value,
        }
    }

    fn operation(&mut self, path: &str, method: &str, methods: &'a Value, operation: &'a Value) {
        let name = operation["operationId"].as_str().unwrap();
        self.lines.insert(format!("{name} is {} {path}", method.to_uppercase()));
        let lists = [&methods["parameters"], &operation["parameters"]];
        for parameter in lists.into_iter().filter_map(|list| list.as_array()).flatten() {
            let parameter = self.resolved(parameter);
            let text = |key: &str| parameter[key].as_str().unwrap();
            let place = format!("{} {}", text("in"), text("name"));
            self.schema(&parameter["schema"], Side::Sent, name, &place);
            if parameter["required"] == true {
                self.lines.insert(format!("{name}{WANTS}{place}"));
            }
        }
        let body = &operation["requestBody"];
        for (kind, media) in members(&body["content"]) {
            self.schema(&media["schema"], Side::Sent, name, kind);
        }
        if body["required"] == true {
            self.lines.insert(format!("{name}{WANTS}body"));
        }
        for (status, response) in members(&operation["responses"]) {
            let response = self.resolved(response);
            let owner = format!("{name} answers {status}");
            self.lines.insert(owner.clone());
            // Every answer has an X-Request-Id.
            for (header, declared) in members(&response["headers"]).filter(|(name, _)| *name != "X-Request-Id") {
                let always = if self.resolved(declared)["required"] == true { " always" } else { "" };
                self.lines.insert(format!("{owner} header {header}{always}"));
            }
            for (kind, media) in members(&response["content"]) {
                self.schema(&media["schema"], Side::Answered, &owner, kind);
            }
        }
    }

    fn add(&mut self, words: &[&str]) {
        let words: Vec<&str> = words.iter().copied().filter(|word| !word.is_empty()).collect();
        self.lines.insert(words.join(" "));
        self.said += 1;
    }

    /// A named schema is a line, and has lines of its own under its name.
    fn schema(&mut self, schema: &'a Value, side: Side, owner: &str, at: &str) {
        let verb = side.verb();
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap();
            self.add(&[owner, verb, at, name]);
            self.met.insert((name.to_owned(), side));
            return;
        }
        let words: Vec<&Value> = schema["enum"].as_array().into_iter().flatten().chain(schema.get("const")).collect();
        // Words have a type, and so has what has properties.
        if let Some(kind) = kind(&schema["type"]).filter(|_| words.is_empty() && schema["properties"].is_null()) {
            self.add(&[owner, verb, at, &kind]);
        }
        for word in words {
            self.add(&[owner, verb, at, &format!("= {word}")]);
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.lines.insert(match side {
                Side::Sent => format!("{owner}{WANTS}{at}.{name}"),
                Side::Answered => format!("{owner} always has {at}.{name}"),
            });
        }
        for (name, inner) in members(&schema["properties"]) {
            let (place, before) = (format!("{at}.{name}"), self.said);
            self.schema(inner, side, owner, &place);
            if self.said == before {
                self.add(&[owner, verb, &place]);
            }
        }
        for list in ["allOf", "anyOf", "oneOf"].iter().filter_map(|key| schema[*key].as_array()).flatten() {
            self.schema(list, side, owner, at);
        }
        for (key, inner) in [("items", "[]"), ("additionalProperties", "{}"), ("contentSchema", " of")] {
            if schema[key].is_object() {
                self.schema(&schema[key], side, owner, &format!("{at}{inner}"));
            }
        }
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

/// The types, in an order of their own.
fn kind(types: &Value) -> Option<String> {
    let mut all: Vec<&str> = match types {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    all.sort_unstable();
    Some(all.join("|"))
}

/// What breaks clients: lines that went away, and new demands of what there was already.
fn broken(kept: &BTreeSet<String>, now: &BTreeSet<String>) -> Vec<String> {
    let known: BTreeSet<&str> = kept.iter().filter_map(|line| line.split(' ').next()).collect();
    let is_known = |line: &str| line.split(' ').next().is_some_and(|owner| known.contains(owner));
    let gone = kept.difference(now).filter(|line| !line.contains(WANTS)).map(|line| format!("gone: {line}"));
    let wanted = now.difference(kept).filter(|line| line.contains(WANTS) && is_known(line));
    gone.chain(wanted.map(|line| format!("new: {line}"))).collect()
}

fn file() -> PathBuf {
    root().join("tests/it/openapi/relied-on.txt")
}

fn kept() -> BTreeSet<String> {
    read(&file()).lines().map(str::to_owned).collect()
}

#[test]
fn nothing_that_a_client_relies_on_disappears_from_the_document() {
    let (kept, now) = (kept(), relied_on(&super::document()));
    let broken = broken(&kept, &now);
    assert!(
        broken.is_empty(),
        "clients rely on what web/openapi.json no longer says. Put it back; or, if no client can mind, say so with \
         `make relied-on REMOVED=yes` and in CHANGELOG.md:\n{}",
        broken.join("\n")
    );
    let new: Vec<_> = now.symmetric_difference(&kept).cloned().collect();
    assert!(new.is_empty(), "web/openapi.json says more: `make relied-on` keeps it, commit both:\n{}", new.join("\n"));
}

/// `make relied-on`.
#[test]
#[ignore = "writes tests/it/openapi/relied-on.txt"]
fn what_clients_rely_on_is_written_down() {
    let now = relied_on(&super::document());
    let broken = broken(&kept(), &now);
    let may_remove = std::env::var("REMOVED").is_ok_and(|word| word == "yes");
    assert!(may_remove || broken.is_empty(), "not written; REMOVED=yes writes it:\n{}", broken.join("\n"));
    fs::write(file(), now.into_iter().map(|line| line + "\n").collect::<String>()).unwrap();
}

/// A change to the document, and the first line of what it breaks. None: nothing.
type Planted = (&'static str, fn(&mut Value), Option<&'static str>);

fn remove(value: &mut Value, pointer: &str) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let name = name.replace("~1", "/");
    value.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(&name).unwrap_or_else(|| panic!("no {pointer}"));
}

fn push(value: &mut Value, pointer: &str, word: &str) {
    value.pointer_mut(pointer).unwrap().as_array_mut().unwrap().push(word.into());
}

const PLANTED: [Planted; 14] = [
    ("nothing", |_| (), None),
    ("an operation", |d| remove(d, "/paths/~1api~1holds~1{id}/delete"), Some("gone: releaseHold answers 204")),
    ("a status", |d| remove(d, "/paths/~1api~1holds/post/responses/409"), Some("gone: createHold answers 409")),
    (
        "a code",
        |d| {
            let codes = "/components/responses/RateLimited/content/application~1problem+json/schema/allOf/1/properties/code/enum";
            *d.pointer_mut(codes).unwrap() = serde_json::json!([]);
        },
        Some("gone: cancelOrder answers 429 has application/problem+json.code = \"rate_limited\""),
    ),
    (
        "a property",
        |d| remove(d, "/components/schemas/Product/properties/sold_stock"),
        Some("gone: Product has .sold_stock"),
    ),
    (
        "that it is always there",
        |d| _ = d["components"]["schemas"]["Alive"]["required"].take(),
        Some("gone: Alive always has .status"),
    ),
    (
        "another type",
        |d| d["components"]["schemas"]["Amount"]["type"] = "number".into(),
        Some("gone: Amount has string"),
    ),
    (
        "a word",
        |d| _ = d["components"]["schemas"]["SaleStatus"]["enum"].as_array_mut().unwrap().pop(),
        Some("gone: SaleStatus has = "),
    ),
    (
        "a header",
        |d| remove(d, "/components/responses/RateLimited/headers/Retry-After"),
        Some("gone: cancelOrder answers 429 header Retry-After always"),
    ),
    (
        "a parameter",
        |d| remove(d, "/components/parameters/StatusOf/schema"),
        Some("gone: exportOrders takes query status"),
    ),
    (
        "a field of a request",
        |d| remove(d, "/components/schemas/NewSale/properties/starts_at"),
        Some("gone: NewSale takes .starts_at"),
    ),
    (
        "one that must be sent",
        |d| push(d, "/components/schemas/OrderRequest/required", "customer_id"),
        Some("new: OrderRequest wants .customer_id"),
    ),
    ("one that may be left out now", |d| remove(d, "/components/schemas/OrderRequest/required"), None),
    (
        "one more property",
        |d| d["components"]["schemas"]["Alive"]["properties"]["since"] = serde_json::json!({"type": "string"}),
        None,
    ),
];

#[test]
fn what_is_taken_away_from_the_document_is_found() {
    let document = super::document();
    let before = relied_on(&document);
    for (what, change, expected) in PLANTED {
        let mut changed = document.clone();
        change(&mut changed);
        let broken = broken(&before, &relied_on(&changed));
        match expected {
            Some(line) => assert!(broken.iter().any(|one| one.starts_with(line)), "{what}: {broken:#?}"),
            None => assert!(broken.is_empty(), "{what}: {broken:#?}"),
        }
    }
}

#[test]
fn a_new_operation_may_want_what_it_likes() {
    let document = super::document();
    let now = relied_on(&document);
    let kept: BTreeSet<String> = now.iter().filter(|line| !line.starts_with("createHold ")).cloned().collect();
    assert!(now.contains("createHold wants body") && broken(&kept, &now).is_empty());
    let by_owner = |line: &String| line.split(' ').next().unwrap().to_owned();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    now.iter().for_each(|line| *counts.entry(by_owner(line)).or_default() += 1);
    assert!(counts.len() > 100, "operations and schemas: {counts:?}");
}
