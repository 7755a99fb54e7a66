//! The document: its operations by path, and a validator for each of its schemas, made when it is first needed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock},
};

use jsonschema::Validator;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

pub struct Document {
    root: Value,
    /// Templates of paths, those with fewer names first.
    paths: Vec<String>,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Document {
    /// That of the service.
    pub fn ours() -> &'static Self {
        static OURS: OnceLock<Document> = OnceLock::new();
        OURS.get_or_init(|| Self::new(serde_json::from_str(include_str!("../../../../web/openapi.json")).unwrap()))
    }

    pub fn new(root: Value) -> Self {
        let mut paths: Vec<String> = root["paths"].as_object().unwrap().keys().cloned().collect();
        paths.sort_by_key(|path| path.matches('{').count());
        Self { root, paths, validators: Mutex::default() }
    }

    /// What is known of the path of a request.
    pub fn path(&self, target: &str) -> Option<&Value> {
        let path = target.split('?').next().unwrap();
        let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
        let parts: Vec<_> = path.split('/').map(|part| percent_decode_str(part).decode_utf8_lossy()).collect();
        let fits = |template: &&String| {
            let of_template: Vec<&str> = template.split('/').collect();
            let mut pairs = of_template.iter().zip(&parts);
            of_template.len() == parts.len()
                && pairs.all(|(known, part)| known == part || known.starts_with('{') && !part.is_empty())
        };
        self.paths.iter().find(fits).map(|template| &self.root["paths"][template])
    }

    /// The same value, or what it refers to.
    pub fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.resolved(self.root.pointer(&reference[1..]).expect("what a reference names")),
            None => value,
        }
    }

    /// Why a value is not as a schema says.
    pub fn complaints(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let complaints: Vec<_> = self
            .validator(schema)
            .iter_errors(value)
            .map(|error| format!("at {:?}: {error}", error.instance_path().as_str()))
            .collect();
        if complaints.is_empty() { Ok(()) } else { Err(format!("{} in {value}", complaints.join("; "))) }
    }

    fn validator(&self, schema: &Value) -> Arc<Validator> {
        let key = schema.to_string();
        if let Some(known) = self.validators.lock().unwrap().get(&key) {
            return Arc::clone(known);
        }
        // References of the document begin at its root.
        let whole = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [schema],
            "components": {"schemas": self.root["components"]["schemas"]},
        });
        let made = jsonschema::options().should_validate_formats(true).build(&whole);
        let made = Arc::new(made.unwrap_or_else(|error| panic!("{error}: {schema}")));
        self.validators.lock().unwrap().insert(key, Arc::clone(&made));
        made
    }
}
