//! Limits for each customer, and the groups of products that one of them counts.

use super::ids::ProductId;

/// Products that belong together, such as the sizes of a model: see [`Group::RULE`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(String);

impl Group {
    pub const CHARS_MAX: usize = 64;
    pub const RULE: &str = "1 to 64 of A-Z, a-z, 0-9 and . _ -";

    pub fn parse(text: &str) -> Option<Self> {
        let legible = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        (legible && (1..=Self::CHARS_MAX).contains(&text.len())).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A limit on what one customer has held, pending and bought together, by what it counts. In order of precedence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomerLimit {
    /// Units of this product.
    Product(ProductId),
    /// Units of the products of a sale that are in this group now.
    Group(Group),
    /// Units of all products of a sale.
    Sale,
}

impl CustomerLimit {
    /// What it counts, in a word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Product(_) => "product",
            Self::Group(_) => "group",
            Self::Sale => "sale",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_up_to_64_characters_that_separate_nothing_in_redis() {
        for text in ["a", "Air-Max_90.2", &"x".repeat(64)] {
            assert_eq!(Group::parse(text).unwrap().as_str(), text);
        }
        for text in ["", " ", "a b", "a=b", "a:b", "a/b", "é", "a\n", &"x".repeat(65)] {
            assert_eq!(Group::parse(text), None, "{text:?}");
        }
    }
}
