//! Rules of products and sales, as `lua/lib/rules.lua` has them: `max_per_customer=2 group=air-max`, empty for most.

use super::{Failure, Fields};
use crate::domain::{limits::Group, visibility::Visibility};

/// A rule without a value has its default.
pub type Rule = (&'static str, String);

/// The rules of one product or sale.
pub struct Rules<'a>(&'a str);

impl<'a> Rules<'a> {
    pub fn read(text: &'a str) -> Self {
        Self(text)
    }

    pub fn of(fields: &'a Fields) -> Self {
        Self(fields.get("rules").unwrap_or_default())
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        let mut entries = self.0.split(' ').filter_map(|entry| entry.split_once('='));
        entries.find_map(|(known, value)| (known == name).then_some(value))
    }

    pub fn count(&self, name: &str) -> Result<Option<u64>, Failure> {
        let count = |digits: &str| digits.parse().map_err(|_| Failure::unreadable("a rule"));
        self.get(name).map(count).transpose()
    }

    pub fn group(&self) -> Result<Option<Group>, Failure> {
        let group = |text| Group::parse(text).ok_or_else(|| Failure::unreadable("a group"));
        self.get("group").map(group).transpose()
    }

    pub fn visibility(&self) -> Result<Visibility, Failure> {
        let visibility = |word| Visibility::parse(word).ok_or_else(|| Failure::unreadable("a visibility"));
        self.get("visibility").map_or(Ok(Visibility::default()), visibility)
    }

    pub fn archived(&self) -> bool {
        self.get("archived").is_some()
    }
}

/// The text of these rules.
pub fn text(rules: impl IntoIterator<Item = Rule>) -> String {
    let set = rules.into_iter().filter(|(_, value)| !value.is_empty());
    set.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

pub fn limit(most: Option<u64>) -> String {
    most.map_or_else(String::new, |most| most.to_string())
}

pub fn group(group: Option<&Group>) -> String {
    group.map_or_else(String::new, |group| group.as_str().to_owned())
}

pub fn visibility(visibility: Visibility) -> String {
    if visibility == Visibility::default() { String::new() } else { visibility.as_str().to_owned() }
}

pub fn archived(archived: bool) -> String {
    if archived { "1".to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_they_were_written() {
        let air_max = Group::parse("air-max");
        let text = text([
            ("max_per_customer", limit(Some(2))),
            ("group", group(air_max.as_ref())),
            ("max_per_group", limit(None)),
            ("visibility", visibility(Visibility::Hidden)),
        ]);
        assert_eq!(text, "max_per_customer=2 group=air-max visibility=hidden");
        let rules = Rules::read(&text);
        assert_eq!((rules.count("max_per_customer").unwrap(), rules.count("max_per_group").unwrap()), (Some(2), None));
        assert_eq!((rules.group().unwrap(), rules.visibility().unwrap()), (air_max, Visibility::Hidden));
    }

    #[test]
    fn most_products_have_no_rules_and_what_nobody_knows_cannot_be_read() {
        assert_eq!(text([("group", group(None)), ("visibility", visibility(Visibility::Public))]), "");
        let none = Rules::read("");
        assert_eq!((none.count("max_per_customer").unwrap(), none.group().unwrap()), (None, None));
        assert_eq!(none.visibility().unwrap(), Visibility::Public);
        let broken = Rules::read("max_per_customer=x group= visibility=secret");
        assert!(broken.count("max_per_customer").is_err() && broken.group().is_err() && broken.visibility().is_err());
    }
}
