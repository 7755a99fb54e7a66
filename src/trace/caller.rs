//! A caller's trace: `traceparent` of W3C Trace Context, `00-<32 hexadecimal digits>-<16>-<2>`.

/// The trace of which the caller says that the request is a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller<'a> {
    pub trace_id: &'a str,
    pub span_id: &'a str,
    /// Whether the caller keeps its own part.
    pub is_sampled: bool,
}

impl<'a> Caller<'a> {
    /// `None`: the text is none, and what a request says of itself is left aside.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut next = |digits: usize| {
            let is_lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            parts.next().filter(|part| part.len() == digits && part.bytes().all(is_lower))
        };
        let (version, trace_id, span_id, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
        // Only a later version may say more.
        if version == "00" && parts.next().is_some() {
            return None;
        }
        let is_zero = |part: &str| part.bytes().all(|b| b == b'0');
        let is_sampled = u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1);
        (version != "ff" && !is_zero(trace_id) && !is_zero(span_id)).then_some(Self { trace_id, span_id, is_sampled })
    }
}

#[cfg(test)]
mod tests {
    use super::Caller;

    #[test]
    fn a_trace_is_read_where_it_is_whole() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let read = |text: &str| Caller::parse(text).map(|caller| (caller.trace_id.to_owned(), caller.is_sampled));
        assert_eq!(read(&format!("00-{id}-00f067aa0ba902b7-01")), Some((id.to_owned(), true)));
        assert_eq!(read(&format!("00-{id}-00f067aa0ba902b7-00")), Some((id.to_owned(), false)));
        assert_eq!(read(&format!("cc-{id}-00f067aa0ba902b7-03-more")), Some((id.to_owned(), true)));
        for wrong in [
            String::new(),
            format!("ff-{id}-00f067aa0ba902b7-01"),
            format!("00-{id}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()),
            format!("00-{id}-00f067aa0ba902b7"),
            format!("00-{id}g-00f067aa0ba902b7-01"),
            format!("00-{id}-00f067aa0ba902b7-01-more"),
        ] {
            assert_eq!(read(&wrong), None, "{wrong}");
        }
    }
}
