//! Tokens of admins, some of them with the name of their bearer.

use super::{Complaints, Secret};

/// Shorter tokens and keys could be guessed.
pub(super) const CHARS_MIN: usize = 16;
const NAME_CHARS_MAX: usize = 64;

/// A token as it is in a list: `anna:secret`, or a secret alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub name: Option<String>,
    pub secret: Secret,
    /// The text with its name, which the bearer may send as well.
    pub whole: Secret,
}

impl Token {
    /// `admin.token` is one text, which names nobody.
    pub(super) fn unnamed(secret: Secret) -> Self {
        Self { name: None, whole: secret.clone(), secret }
    }

    /// What stands in front of the first colon is a name, if it can be one. Nothing in front of it: the rest is a secret without a
    /// name, whatever colons it has.
    pub(super) fn of(whole: &Secret) -> Self {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
        let named = whole
            .expose()
            .split_once(':')
            .filter(|(name, _)| name.len() <= NAME_CHARS_MAX && name.bytes().all(is_of_name));
        let (name, secret) = match named {
            Some((name, secret)) => (Some(name).filter(|name| !name.is_empty()), secret),
            None => (None, whole.expose()),
        };
        Self { name: name.map(str::to_owned), secret: Secret::new(secret), whole: whole.clone() }
    }
}

/// Complains about tokens that are too short, and about those that have the secret of another one.
pub(super) fn check(lists: &[(&str, Vec<&Token>)], complaints: &mut Complaints) {
    let mut known: Vec<&str> = Vec::new();
    for (key, tokens) in lists {
        let numbered = |number: usize| if tokens.len() > 1 { format!("number {number} ") } else { String::new() };
        for (token, number) in tokens.iter().zip(1..) {
            let secret = token.secret.expose();
            if secret.chars().count() < CHARS_MIN {
                let what = if secret.len() < token.whole.expose().len() {
                    format!(
                        "must have at least {CHARS_MIN} characters behind its name and colon (a token that has a colon \
                             and no name begins with a colon)"
                    )
                } else {
                    format!("must have at least {CHARS_MIN} characters")
                };
                complaints.add(key, &format!("{}{what}", numbered(number)));
            } else if known.contains(&secret) {
                complaints.add(key, &format!("{}has the secret of another token", numbered(number)));
            }
            known.push(secret);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_in_front_of_the_first_colon() {
        for (text, name, secret) in [
            ("anna:secret", Some("anna"), "secret"),
            ("anna.b@shop-1_x:sec:ret", Some("anna.b@shop-1_x"), "sec:ret"),
            ("secret", None, "secret"),
            (":sec:ret", None, "sec:ret"),
            ("no name:secret", None, "no name:secret"),
            ("änna:secret", None, "änna:secret"),
        ] {
            let token = Token::of(&Secret::new(text));
            assert_eq!((token.name.as_deref(), token.secret.expose(), token.whole.expose()), (name, secret, text));
        }
    }

    #[test]
    fn short_tokens_and_those_with_one_secret_are_complaints() {
        let tokens = ["anna:0123456789abcdef", "bob:0123456789abcdef", "carla:short", "short"];
        let tokens: Vec<_> = tokens.into_iter().map(|text| Token::of(&Secret::new(text))).collect();
        let mut complaints = Complaints::default();
        check(&[("admin.token", vec![]), ("admin.tokens", tokens.iter().collect())], &mut complaints);
        let Complaints(found) = &complaints;
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0], "admin.tokens number 2 has the secret of another token");
        assert!(found[1].starts_with("admin.tokens number 3 must have at least 16 characters behind its name"));
        assert_eq!(found[2], "admin.tokens number 4 must have at least 16 characters");
        assert!(!complaints.to_string().contains("0123"), "{complaints}");
    }
}
