//! Texts that a shop gives us and that we only keep and give back.

/// The shop's opaque id of a customer: see [`CustomerId::RULE`]. Compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CustomerId(String);

impl CustomerId {
    pub const BYTES_MAX: usize = 128;
    pub const RULE: &str = "1 to 128 bytes of text, without control characters";

    /// A control character separates texts in Redis, so it may be in none.
    pub fn parse(text: &str) -> Option<Self> {
        is_plain(text, Self::BYTES_MAX).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Names a request so that sending it again has no second effect: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    pub const CHARS_MAX: usize = 255;

    /// Bare, or in double quotes as the IETF draft has it.
    pub fn parse(text: &str) -> Option<Self> {
        let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        is_visible_ascii(bare, Self::CHARS_MAX).then(|| Self(bare.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a product or a sale: see [`Name::RULE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    pub const CHARS_MAX: usize = 200;
    pub const RULE: &str = "1 to 200 characters, none of them a control character";

    pub fn parse(text: &str) -> Option<Self> {
        let trimmed = text.trim();
        let fits = !trimmed.is_empty() && trimmed.chars().count() <= Self::CHARS_MAX;
        (fits && !trimmed.chars().any(char::is_control)).then(|| Self(trimmed.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

pub(super) fn is_plain(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len()) && !text.chars().any(char::is_control)
}

pub(crate) fn is_visible_ascii(text: &str, chars_max: usize) -> bool {
    (1..=chars_max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}
