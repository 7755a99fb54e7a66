//! The words that senders of our own webhook use for what happened to a payment.

use crate::domain::payment::PaymentStatus;

/// The words of each status. The first is the status' own. The table in `docs/payments.md` is this one.
pub(super) const WORDS: [(PaymentStatus, &[&str]); 9] = [
    (
        PaymentStatus::Paid,
        &["paid", "succeeded", "success", "successful", "completed", "captured", "confirmed", "approved", "settled"],
    ),
    (
        PaymentStatus::Processing,
        &["processing", "pending", "in_progress", "authorised", "authorized", "requires_capture", "on_hold"],
    ),
    (PaymentStatus::Failed, &["failed", "declined", "denied", "rejected", "refused", "error"]),
    (PaymentStatus::Cancelled, &["cancelled", "canceled", "voided", "expired", "abandoned"]),
    (PaymentStatus::Refunded, &["refunded", PARTIALLY_REFUNDED, "reversed"]),
    (PaymentStatus::RefundFailed, &["refund_failed"]),
    (PaymentStatus::Disputed, &["disputed", "dispute_opened", "chargeback"]),
    (PaymentStatus::DisputeWon, &["dispute_won", "chargeback_reversed"]),
    (PaymentStatus::DisputeLost, &["dispute_lost", "chargeback_lost"]),
];

/// The one word that says that the amount is not all that was captured.
pub(super) const PARTIALLY_REFUNDED: &str = "partially_refunded";

/// A word as the table has it.
pub(super) fn normal(word: &str) -> String {
    word.trim().to_lowercase().replace([' ', '-'], "_")
}

/// The status of a [normal] word.
pub(super) fn status(word: &str) -> Option<PaymentStatus> {
    WORDS.iter().find(|(_, words)| words.contains(&word)).map(|(status, _)| *status)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_status_has_a_row_that_begins_with_its_own_word_and_no_word_stands_twice() {
        let firsts = WORDS.map(|(status, words)| (status, words[0]));
        assert_eq!(firsts, PaymentStatus::ALL.map(|status| (status, status.as_str())));
        let words: Vec<&str> = WORDS.iter().flat_map(|(_, words)| *words).copied().collect();
        assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len());
        assert!(words.iter().all(|word| normal(word) == *word));
    }

    #[test]
    fn a_word_may_be_written_in_any_case_and_with_any_joint() {
        for word in ["partially_refunded", "Partially-Refunded", " PARTIALLY REFUNDED\n"] {
            assert_eq!(status(&normal(word)), Some(PaymentStatus::Refunded), "{word}");
        }
        assert_eq!(status(&normal("of next year")), None);
    }

    #[test]
    fn the_document_has_the_table_of_words() {
        let cell = |word: &&str| format!("`{word}`");
        let row = |(status, words): &(PaymentStatus, &[&str])| {
            let others: Vec<String> = words[1..].iter().map(cell).collect();
            format!("| `{}` | {} |", status.as_str(), others.join(", ")).replace("|  |", "| |")
        };
        let document = include_str!("../../docs/payments.md");
        let table = document.split("| `payload.status` | or |").nth(1).expect("docs/payments.md has a table of words");
        let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
        let meant = |row: &str| row.split('|').take(3).collect::<Vec<_>>().join("|") + "|";
        assert_eq!(rows.into_iter().map(meant).collect::<Vec<_>>(), WORDS.iter().map(row).collect::<Vec<_>>());
    }
}
