//! A range of time, in epoch milliseconds.

/// From `since_ms` on, and before `until_ms`, so that periods that follow each other share no instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    pub since_ms: Option<i64>,
    pub until_ms: Option<i64>,
}

impl Period {
    pub fn has(&self, ms: i64) -> bool {
        self.since_ms.is_none_or(|since| ms >= since) && self.until_ms.is_none_or(|until| ms < until)
    }

    /// Whether it holds no instant, whatever the time.
    pub fn is_empty(&self) -> bool {
        self.since_ms.zip(self.until_ms).is_some_and(|(since, until)| since >= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_has_its_first_millisecond_and_not_its_last() {
        let period = Period { since_ms: Some(5), until_ms: Some(7) };
        assert_eq!([4, 5, 6, 7].map(|ms| period.has(ms)), [false, true, true, false]);
        assert!(Period::default().has(0) && Period { since_ms: Some(5), until_ms: Some(5) }.is_empty());
        assert!(!period.is_empty() && !Period { since_ms: Some(5), until_ms: None }.is_empty());
    }
}
