//! Texts that a shop gives us and that we only keep and give back.

use std::ops::RangeInclusive;

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
    pub const RULE: &str = "1 to 200 characters, none of them a control character, at least one of them visible";

    pub fn parse(text: &str) -> Option<Self> {
        let trimmed = text.trim();
        let fits = trimmed.chars().any(is_visible) && trimmed.chars().count() <= Self::CHARS_MAX;
        (fits && !trimmed.chars().any(char::is_control)).then(|| Self(trimmed.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Characters that no font draws: `Default_Ignorable_Code_Point` of Unicode 16 (`DerivedCoreProperties.txt`). A name of them alone looks
/// like none.
const UNDRAWN: [RangeInclusive<char>; 17] = [
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{202a}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fff8}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

fn is_visible(character: char) -> bool {
    !character.is_whitespace() && !UNDRAWN.iter().any(|range| range.contains(&character))
}

pub(super) fn is_plain(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len()) && !text.chars().any(char::is_control)
}

pub(crate) fn is_visible_ascii(text: &str, chars_max: usize) -> bool {
    (1..=chars_max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn a_name_can_be_seen() {
        for name in ["x", "靴", "👟", "\u{200b}x", "é", " a ", "שם\u{200f}", "☕\u{fe0f}", "."] {
            assert!(Name::parse(name).is_some(), "{name:?}");
        }
        for name in [
            "",
            " ",
            "\u{a0}",
            "\u{3000}",
            "\u{200b}",
            "\u{202e} \u{202c}",
            "\u{3164}",
            "\u{feff}\u{ad}",
            "\u{e0041}",
            "a\u{7}",
        ] {
            assert!(Name::parse(name).is_none(), "{name:?}");
        }
    }
}
