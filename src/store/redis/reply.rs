//! Replies: a word, then integers, strings and lists.

use redis::Value;

use super::{error::Failure, sequence::Sequence};
use crate::domain::ids::SaleId;

/// The values of a reply that were not read yet. The readers take them from the front.
#[derive(Debug)]
pub struct Reply {
    rest: std::vec::IntoIter<Value>,
}

impl Reply {
    /// # Errors
    /// [`Failure::Unreadable`] when the value is no list.
    pub fn read(value: Value) -> Result<Self, Failure> {
        match value {
            Value::Array(values) => Ok(Self { rest: values.into_iter() }),
            other => Err(Failure::unreadable(format!("{other:?} instead of a list"))),
        }
    }

    /// The reply of a command that answers with one value.
    pub fn one(value: Value) -> Self {
        Self { rest: vec![value].into_iter() }
    }

    /// Fields and values in turn, which the third version of the protocol has as a map.
    ///
    /// # Errors
    /// As [`Reply::read`].
    pub fn of_pairs(value: Value) -> Result<Self, Failure> {
        match value {
            Value::Map(pairs) => {
                let values: Vec<_> = pairs.into_iter().flat_map(|(field, value)| [field, value]).collect();
                Ok(Self { rest: values.into_iter() })
            }
            value => Self::read(value),
        }
    }

    /// The lines of a text.
    pub fn from_lines(text: &str) -> Self {
        let lines: Vec<_> = text.split('\n').map(|line| Value::BulkString(line.into())).collect();
        Self { rest: lines.into_iter() }
    }

    /// What comes behind everything else: whether the call wrote, and the number of the last write.
    ///
    /// # Errors
    /// As [`Reply::count`].
    pub fn take_sequence(&mut self) -> Result<Sequence, Failure> {
        let mut last = || Self { rest: self.rest.next_back().into_iter().collect::<Vec<_>>().into_iter() }.count();
        Ok(Sequence { write: last()?, has_only_seen: last()? == 0, place: 0 })
    }

    /// The next so many values.
    pub fn take(&mut self, values: usize) -> Self {
        Self { rest: self.rest.by_ref().take(values).collect::<Vec<_>>().into_iter() }
    }

    /// Leaves the next value out.
    pub fn skip(&mut self) {
        self.rest.next();
    }

    pub fn is_empty(&self) -> bool {
        self.rest.as_slice().is_empty()
    }

    /// # Errors
    /// [`Failure::Unreadable`] when the next value is no integer, nor a string of digits.
    pub fn int(&mut self) -> Result<i64, Failure> {
        match self.rest.next() {
            Some(Value::Int(number)) => Ok(number),
            Some(Value::BulkString(bytes)) => digits(&bytes),
            other => Err(Failure::unreadable(format!("{other:?} instead of an integer"))),
        }
    }

    /// # Errors
    /// [`Failure::Unreadable`] when the next value is no integer, or a negative one.
    pub fn count(&mut self) -> Result<u64, Failure> {
        let number = self.int()?;
        u64::try_from(number).map_err(|_| Failure::unreadable(format!("{number} instead of a count")))
    }

    /// An instant in epoch milliseconds, where 0 stands for none.
    ///
    /// # Errors
    /// As [`Reply::int`].
    pub fn instant_or_none(&mut self) -> Result<Option<i64>, Failure> {
        Ok(Some(self.int()?).filter(|ms| *ms > 0))
    }

    /// # Errors
    /// [`Failure::Unreadable`] when the next value is no string.
    pub fn text(&mut self) -> Result<String, Failure> {
        match self.rest.next() {
            Some(Value::BulkString(bytes)) => String::from_utf8(bytes).map_err(|e| Failure::unreadable(e.to_string())),
            Some(Value::SimpleString(text)) => Ok(text),
            Some(Value::Int(number)) => Ok(number.to_string()),
            other => Err(Failure::unreadable(format!("{other:?} instead of a string"))),
        }
    }

    /// # Errors
    /// As [`Reply::text`]. A nil is `None`.
    pub fn text_or_none(&mut self) -> Result<Option<String>, Failure> {
        if let Some(Value::Nil) = self.rest.as_slice().first() {
            self.rest.next();
            return Ok(None);
        }
        self.text().map(Some)
    }

    /// Whether the next value is anything but a nil.
    ///
    /// # Errors
    /// [`Failure::Unreadable`] when there is no next value.
    pub fn is_some(&mut self) -> Result<bool, Failure> {
        let next = self.rest.next().ok_or_else(|| Failure::unreadable("a value is missing"))?;
        Ok(next != Value::Nil)
    }

    /// # Errors
    /// [`Failure::Unreadable`] when the next value is no sale id.
    pub fn sale_id(&mut self) -> Result<SaleId, Failure> {
        SaleId::parse_shard(&self.text()?).ok_or_else(|| Failure::unreadable("a sale id"))
    }

    /// # Errors
    /// [`Failure::Unreadable`] when the next value is no list.
    pub fn list(&mut self) -> Result<Self, Failure> {
        self.rest.next().map_or_else(|| Err(Failure::unreadable("a list is missing")), Self::read)
    }

    /// The rest as fields and values, the form of HGETALL.
    ///
    /// # Errors
    /// [`Failure::Unreadable`] when something is no string.
    pub fn fields(mut self) -> Result<Fields, Failure> {
        let mut fields = Vec::with_capacity(self.rest.len() / 2);
        while !self.is_empty() {
            fields.push((self.text()?, self.text()?));
        }
        Ok(Fields(fields))
    }
}

/// The fields of a hash.
#[derive(Debug)]
pub struct Fields(Vec<(String, String)>);

impl IntoIterator for Fields {
    type Item = (String, String);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Fields {
    /// Fields and values, a line each.
    ///
    /// # Errors
    /// [`Failure::Unreadable`] when a value is missing.
    pub fn from_lines(text: &str) -> Result<Self, Failure> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let mut lines = text.split('\n').map(str::to_owned);
        let mut fields = Vec::with_capacity(12);
        while let Some(name) = lines.next() {
            fields.push((name, lines.next().ok_or_else(|| Failure::unreadable("a field without a value"))?));
        }
        Ok(Self(fields))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(field, value)| (field.as_str(), value.as_str()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// # Errors
    /// [`Failure::Unreadable`] when the field is missing.
    pub fn text(&self, name: &str) -> Result<&str, Failure> {
        self.get(name).ok_or_else(|| Failure::unreadable(format!("the field {name} is missing")))
    }

    /// # Errors
    /// [`Failure::Unreadable`] when the field exists and is no integer.
    pub fn int_or_none(&self, name: &str) -> Result<Option<i64>, Failure> {
        self.get(name).map(|value| digits(value.as_bytes())).transpose()
    }

    /// # Errors
    /// [`Failure::Unreadable`] when the field is missing or no integer.
    pub fn int(&self, name: &str) -> Result<i64, Failure> {
        digits(self.text(name)?.as_bytes())
    }
}

fn digits(bytes: &[u8]) -> Result<i64, Failure> {
    let number = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| Failure::unreadable("digits expected"))
}
