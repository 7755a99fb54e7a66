//! Who sees a product or a sale.

/// Who sees a product or a sale. The stricter one of a product and its sale counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Visibility {
    /// Everybody.
    #[default]
    Public,
    /// Whoever knows the id. Holds are taken.
    Unlisted,
    /// Only admins. For everybody else it does not exist, so no hold is taken.
    Hidden,
}

impl Visibility {
    pub const RULE: &str = "public, unlisted or hidden";

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "public" => Some(Self::Public),
            "unlisted" => Some(Self::Unlisted),
            "hidden" => Some(Self::Hidden),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Unlisted => "unlisted",
            Self::Hidden => "hidden",
        }
    }
}
