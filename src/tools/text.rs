//! Text from elsewhere, made fit to be printed.

/// The text without characters that a terminal would obey instead of showing: each becomes a blank.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_direction(c) { ' ' } else { c }).collect()
}

/// The first characters of the text, printable.
pub fn cut(text: &str, chars_max: usize) -> String {
    printable(text).chars().take(chars_max).collect()
}

/// Whether the character turns the direction of the text, and so the order in which the rest of the line is shown.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_command_a_terminal() {
        assert_eq!(printable("no \u{1b}[2J"), "no  [2J");
        assert_eq!(cut("a\u{202e}b\u{2066}c", 4), "a b ");
    }
}
