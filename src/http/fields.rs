//! JSON objects field by field, so that all complaints about a body are made together. None repeats a value that was sent.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use super::problem::FieldError;

/// Some programs write it in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Up to here a float holds every whole number.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
/// Complaints that one answer lists.
const ERRORS_MAX: usize = 20;
/// Characters of an unknown field's name that an answer repeats.
const NAME_CHARS_MAX: usize = 64;

/// Whether two names differ in nothing but capital letters and what joins their words: `SKU` and `sku`, `productId` and
/// `product_id`.
fn is_spelled_alike(name: &str, other: &str) -> bool {
    let letters = |text: &str| text.replace(['_', '-', ' '], "").to_lowercase();
    letters(name) == letters(other)
}

/// A JSON value of a body. Numbers that no body uses are all `OtherNumber`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    Count(u64),
    Negative(i64),
    /// Fractional, or beyond 64 bits.
    OtherNumber,
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    /// In the order of the body, with duplicates.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// # Errors
/// When the bytes are no JSON document.
pub(super) fn parse(bytes: &[u8]) -> Result<Json<'_>, serde_json::Error> {
    serde_json::from_slice(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes))
}

/// An object whose known fields are taken one by one.
pub(super) struct Object<'a, 'e> {
    pointer: String,
    fields: Vec<(Cow<'a, str>, Json<'a>)>,
    errors: &'e mut Vec<FieldError>,
}

impl<'a, 'e> Object<'a, 'e> {
    /// Complains about unknown and repeated fields at once. `None` when the value is no object.
    pub(super) fn open(
        json: Json<'a>,
        pointer: impl Into<String>,
        known: &[&str],
        errors: &'e mut Vec<FieldError>,
    ) -> Option<Self> {
        let pointer = pointer.into();
        let Json::Object(fields) = json else {
            complain(errors, pointer, "not_an_object", "this must be an object");
            return None;
        };
        let unknown = || fields.iter().filter(|(name, _)| !known.contains(&name.as_ref()));
        for (at, (name, _)) in unknown().enumerate() {
            let meant = known.iter().find(|known| is_spelled_alike(known, name));
            let meant = meant.map_or_else(String::new, |meant| format!(": write {meant}"));
            let known = if at == 0 { format!("; known are {}", known.join(", ")) } else { String::new() };
            let shown = shown(name);
            complain(
                errors,
                format!("{pointer}/{shown}"),
                "unknown_field",
                format!("{shown} is not known here{meant}{known}"),
            );
        }
        for name in known {
            if fields.iter().filter(|(other, _)| other == name).count() > 1 {
                complain(errors, format!("{pointer}/{name}"), "duplicate_field", format!("{name} is there twice"));
            }
        }
        Some(Self { pointer, fields, errors })
    }

    /// The value of a field. Null counts as absent.
    pub(super) fn take(&mut self, name: &str) -> Option<Json<'a>> {
        let at = self.fields.iter().position(|(other, _)| other == name)?;
        Some(self.fields.swap_remove(at).1).filter(|value| *value != Json::Null)
    }

    /// Whether the field is null, which takes a value away.
    pub(super) fn clears(&self, name: &str) -> bool {
        self.fields.iter().any(|(other, value)| other == name && *value == Json::Null)
    }

    /// Whether the field is there with a value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(other, value)| other == name && *value != Json::Null)
    }

    /// True or false, or `None` where it is absent or wrong.
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        let value = self.take(name)?;
        if let Json::Bool(is_true) = value {
            return Some(is_true);
        }
        self.complain(name, "not_a_boolean", format!("{name} must be true or false"));
        None
    }

    /// A whole number that may be negative, or `None` where it is absent or wrong.
    pub(super) fn integer(&mut self, name: &str, bound: i64) -> Option<i64> {
        let number = match self.take(name)? {
            Json::Count(count) => i64::try_from(count).ok(),
            Json::Negative(number) => Some(number),
            _ => None,
        };
        let fits = number.filter(|number| (-bound..=bound).contains(number));
        if fits.is_none() {
            self.complain(name, "not_an_integer", format!("{name} must be a whole number from -{bound} to {bound}"));
        }
        fits
    }

    pub(super) fn complain(&mut self, name: &str, code: &'static str, detail: impl Into<Cow<'static, str>>) {
        complain(self.errors, format!("{}/{name}", self.pointer), code, detail);
    }

    /// A whole number, or `None` where it is absent or wrong.
    pub(super) fn count(&mut self, name: &str, least: u64, most: u64) -> Option<u64> {
        let value = self.take(name)?;
        self.read_count(name, &value, least, most)
    }

    /// [`Object::count`] for a field that must exist.
    pub(super) fn required_count(&mut self, name: &str, least: u64, most: u64) -> Option<u64> {
        let value = self.required(name)?;
        self.read_count(name, &value, least, most)
    }

    fn read_count(&mut self, name: &str, value: &Json<'a>, least: u64, most: u64) -> Option<u64> {
        let (code, detail) = match value {
            Json::Count(count) if *count < least => ("too_small", format!("{name} must be at least {least}")),
            Json::Count(count) if *count > most => ("too_large", format!("{name} must be at most {most}")),
            Json::Count(count) => return Some(*count),
            _ => ("not_an_integer", format!("{name} must be a whole number from {least} to {most}")),
        };
        self.complain(name, code, detail);
        None
    }

    /// A text that `parse` accepts, or `None` where it is absent or wrong.
    pub(super) fn text<T>(&mut self, name: &str, what: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = self.take(name)?;
        self.read_text(name, value, what, parse)
    }

    /// [`Object::text`] for a field that must exist.
    pub(super) fn required_text<T>(&mut self, name: &str, what: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = self.required(name)?;
        self.read_text(name, value, what, parse)
    }

    fn read_text<T>(
        &mut self,
        name: &str,
        value: Json<'a>,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let Json::Text(text) = value else {
            self.complain(name, "not_a_string", format!("{name} must be a string: {what}"));
            return None;
        };
        let parsed = parse(&text);
        if parsed.is_none() {
            self.complain(name, "invalid_format", format!("{name} must be {what}"));
        }
        parsed
    }

    fn required(&mut self, name: &str) -> Option<Json<'a>> {
        let value = self.take(name);
        if value.is_none() {
            self.complain(name, "required", format!("{name} is required"));
        }
        value
    }

    /// The list of complaints, for objects inside this one.
    pub(super) fn errors(&mut self) -> &mut Vec<FieldError> {
        self.errors
    }
}

/// The name of a field that somebody sent, as it stands in a pointer: bounded, without characters that a page or a terminal would
/// obey, and with the escapes of RFC 6901.
fn shown(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-.:$@~/ ".contains(c);
    let plain = name.chars().take(NAME_CHARS_MAX).map(|c| if is_plain(c) { c } else { char::REPLACEMENT_CHARACTER });
    plain.collect::<String>().replace('~', "~0").replace('/', "~1")
}

pub(super) fn complain(
    errors: &mut Vec<FieldError>,
    pointer: impl Into<String>,
    code: &'static str,
    detail: impl Into<Cow<'static, str>>,
) {
    if errors.len() < ERRORS_MAX {
        errors.push(FieldError { pointer: pointer.into(), code, detail: detail.into() });
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, is_true: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(is_true))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Count(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(u64::try_from(number).map_or(Json::Negative(number), Json::Count))
    }

    /// `1.0` is a whole number, as JSON Schema has it.
    #[allow(clippy::cast_possible_truncation, reason = "a whole number up to `WHOLE_MAX` fits")]
    fn visit_f64<E>(self, number: f64) -> Result<Json<'de>, E> {
        if number.fract() != 0.0 || number.abs() > WHOLE_MAX {
            return Ok(Json::OtherNumber);
        }
        let number = number as i64;
        Ok(u64::try_from(number).map_or(Json::Negative(number), Json::Count))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some(Name(name)) = entries.next_key()? {
            fields.push((name, entries.next_value()?));
        }
        Ok(Json::Object(fields))
    }
}

/// A field's name, borrowed where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::Text(text) => Ok(Self(text)),
            _ => Err(serde::de::Error::custom("a field name must be a string")),
        }
    }
}
