//! Who sees a product or a sale.

/// Who sees a product or a sale. The stricter one of a product and its sale counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// Who reads a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Whoever reads a list.
    Everybody,
    /// Whoever names the product.
    Knowing,
    Admins,
}

impl Audience {
    pub fn sees(self, visibility: Visibility) -> bool {
        match self {
            Self::Everybody => visibility == Visibility::Public,
            Self::Knowing => visibility < Visibility::Hidden,
            Self::Admins => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stricter_one_of_two_counts_and_decides_who_sees_a_product() {
        let stricter = Visibility::Public.max(Visibility::Unlisted);
        assert_eq!((stricter, Visibility::Hidden.max(stricter)), (Visibility::Unlisted, Visibility::Hidden));
        let all = [Visibility::Public, Visibility::Unlisted, Visibility::Hidden];
        assert_eq!(all.map(|seen| Audience::Everybody.sees(seen)), [true, false, false]);
        assert_eq!(all.map(|seen| Audience::Knowing.sees(seen)), [true, true, false]);
        assert_eq!(all.map(|seen| Audience::Admins.sees(seen)), [true; 3]);
    }
}
