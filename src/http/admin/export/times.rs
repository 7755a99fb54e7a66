//! The times of an export. Rows have RFC 3339 in UTC, which programs read and most spreadsheets take for text.

use jiff::{Timestamp, fmt::temporal::DateTimeParser, tz::TimeZone};
use serde_json::{Map, Value};

/// Names of fields that are times end so.
const ENDING: &str = "_at";

/// How times are written.
pub(super) struct Times {
    pub(super) form: TimesForm,
    /// `None`: UTC.
    pub(super) zone: Option<TimeZone>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TimesForm {
    Rfc3339,
    /// `2026-11-26 10:15:00`: what every spreadsheet takes for a time, in every language. They know
    /// neither zones nor, in this form, milliseconds.
    Spreadsheet,
}

impl TimesForm {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "rfc3339" => Some(Self::Rfc3339),
            "spreadsheet" => Some(Self::Spreadsheet),
            _ => None,
        }
    }

    fn pattern(self) -> &'static str {
        match self {
            Self::Rfc3339 => "%Y-%m-%dT%H:%M:%S%.3f%:z",
            Self::Spreadsheet => "%Y-%m-%d %H:%M:%S",
        }
    }
}

/// The most distant places are so far from UTC.
const DISTANCE_SECONDS_MAX: u32 = 14 * 3_600;
/// What is in the files of the database beside zones: the zone of the machine, the rules of another system, and no place at all.
const NO_ZONES: [&str; 3] = ["localtime", "posixrules", "factory"];
/// Folders with the same zones again, and with leap seconds, which our times do not count.
const FOLDERS: [&str; 2] = ["posix/", "right/"];

/// A name of the IANA time zone database, or a distance from UTC.
pub(super) fn zone(text: &str) -> Option<TimeZone> {
    const PARSER: DateTimeParser = DateTimeParser::new();
    let name = text.to_ascii_lowercase();
    if NO_ZONES.contains(&&*name) || FOLDERS.iter().any(|folder| name.starts_with(folder)) {
        return None;
    }
    let zone = PARSER.parse_time_zone(text).ok()?;
    match zone.to_fixed_offset() {
        Ok(offset) if zone.iana_name().is_none() => {
            (offset.seconds().unsigned_abs() <= DISTANCE_SECONDS_MAX).then_some(zone)
        }
        // Without a name it is a rule in words of POSIX.
        _ => zone.iana_name().is_some().then_some(zone),
    }
}

impl Times {
    /// Whether they stay as rows have them.
    pub(super) fn are_plain(&self) -> bool {
        self.form == TimesForm::Rfc3339 && self.zone.is_none()
    }

    /// Writes the times of an object, and of the objects in its lists. What a shop keeps in an object of its own stays.
    pub(super) fn write_in(&self, object: &mut Map<String, Value>) {
        if self.are_plain() {
            return;
        }
        for (name, value) in object {
            match value {
                Value::String(text) if name.ends_with(ENDING) => {
                    if let Some(written) = self.written(text) {
                        *text = written;
                    }
                }
                Value::Array(list) => {
                    list.iter_mut().filter_map(Value::as_object_mut).for_each(|inner| self.write_in(inner));
                }
                _ => {}
            }
        }
    }

    fn written(&self, text: &str) -> Option<String> {
        let instant: Timestamp = text.parse().ok()?;
        let zoned = instant.to_zoned(self.zone.clone().unwrap_or(TimeZone::UTC));
        Some(zoned.strftime(self.form.pattern()).to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(form: TimesForm, of: Option<&str>) -> Value {
        let mut row = json!({"paid_at": "2026-11-26T23:15:00.999Z", "name": "2026-11-26T23:15:00Z", "due_at": null,
            "events": [{"received_at": "2026-06-26T10:15:00.000Z"}], "metadata": {"seen_at": "2026-11-26T10:15:00Z"}});
        Times { form, zone: of.map(|of| zone(of).unwrap()) }.write_in(row.as_object_mut().unwrap());
        assert_eq!(row["due_at"], Value::Null);
        assert_eq!([&row["name"], &row["metadata"]["seen_at"]], ["2026-11-26T23:15:00Z", "2026-11-26T10:15:00Z"]);
        json!([row["paid_at"], row["events"][0]["received_at"]])
    }

    #[test]
    fn times_are_written_for_spreadsheets_and_in_the_zone_of_a_warehouse() {
        use TimesForm::{Rfc3339, Spreadsheet};
        for (form, zone, expected) in [
            (Rfc3339, None, ["2026-11-26T23:15:00.999Z", "2026-06-26T10:15:00.000Z"]),
            (Rfc3339, Some("Europe/Berlin"), ["2026-11-27T00:15:00.999+01:00", "2026-06-26T12:15:00.000+02:00"]),
            (Spreadsheet, None, ["2026-11-26 23:15:00", "2026-06-26 10:15:00"]),
            (Spreadsheet, Some("Europe/Berlin"), ["2026-11-27 00:15:00", "2026-06-26 12:15:00"]),
            (Spreadsheet, Some("-05:00"), ["2026-11-26 18:15:00", "2026-06-26 05:15:00"]),
            (Spreadsheet, Some("UTC"), ["2026-11-26 23:15:00", "2026-06-26 10:15:00"]),
        ] {
            assert_eq!(written(form, zone), json!(expected), "{zone:?}");
        }
        for text in ["", "Berlin", "../../etc/passwd", "1", "+25:00", "-24:00", "+14:01", "EST5EDT,M3.2.0,M11.1.0"] {
            assert!(zone(text).is_none(), "{text}");
        }
        for text in ["posixrules", "localtime", "Factory", "factory", "posix/Europe/Berlin", "right/UTC", "RIGHT/utc"] {
            assert!(zone(text).is_none(), "{text}");
        }
        for text in ["+14:00", "-12:00", "europe/berlin", "EST5EDT", "Etc/GMT-14"] {
            assert!(zone(text).is_some(), "{text}");
        }
    }
}
