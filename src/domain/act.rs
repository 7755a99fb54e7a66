//! Who changes something, and why: it goes with the change into the event log.

use super::text::is_plain;

/// The name of an admin's token: 1 to 64 of `A-Z a-z 0-9 . _ @ -`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(String);

impl Actor {
    pub const CHARS_MAX: usize = 64;

    pub fn parse(text: &str) -> Option<Self> {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
        ((1..=Self::CHARS_MAX).contains(&text.len()) && text.bytes().all(is_of_name)).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a person gave as the reason: see [`Reason::RULE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    pub const BYTES_MAX: usize = 200;
    pub const RULE: &str = "1 to 200 bytes of text, without control characters";

    pub fn parse(text: &str) -> Option<Self> {
        let trimmed = text.trim();
        is_plain(trimmed, Self::BYTES_MAX).then(|| Self(trimmed.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who changes something, and why. Both are `None` where nobody said so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Act {
    pub actor: Option<Actor>,
    pub reason: Option<Reason>,
}

impl Act {
    pub fn of(actor: Option<Actor>) -> Self {
        Self { actor, reason: None }
    }

    #[must_use]
    pub fn because(mut self, reason: Option<Reason>) -> Self {
        self.reason = reason;
        self
    }

    pub fn actor(&self) -> Option<&str> {
        self.actor.as_ref().map(Actor::as_str)
    }

    pub fn reason(&self) -> Option<&str> {
        self.reason.as_ref().map(Reason::as_str)
    }
}

/// A thing after a change, and as it was before. No `before`: the change changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<T> {
    pub after: T,
    pub before: Option<T>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_reasons_are_texts_that_a_line_can_hold() {
        for name in ["a", "anna", "anna.b@shop-1_x", &"x".repeat(64)] {
            assert_eq!(Actor::parse(name).unwrap().as_str(), name);
        }
        for name in ["", "anna b", "änna", "a:b", &"x".repeat(65)] {
            assert_eq!(Actor::parse(name), None, "{name}");
        }
        assert_eq!(Reason::parse(" found a box ").unwrap().as_str(), "found a box");
        for text in ["", " ", "two\nlines", "a\u{1b}[2J", &"x".repeat(201)] {
            assert_eq!(Reason::parse(text), None, "{text:?}");
        }
    }
}
