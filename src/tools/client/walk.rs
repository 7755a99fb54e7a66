//! The pages of a list, one after another. A list that leads back to a page that was read ends with an error, and so does one
//! that is longer than any.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
};

use serde::de::DeserializeOwned;

use super::{
    CallPath,
    api::{ApiCall, ApiClient, CallError},
};
use crate::wire::Page;

/// The rows of a page.
pub const PAGE: u64 = 100;
/// The longest list that is read as a whole: a million objects in pages of a hundred.
const PAGES_MAX: usize = 10_000;

/// The cursors of one walk.
#[derive(Default)]
pub struct Cursors {
    /// Hashes of those that came.
    seen: HashSet<u64>,
    hasher: RandomState,
}

impl Cursors {
    /// Notes the cursor of the next page.
    ///
    /// # Errors
    /// [`CallError::Circular`] when it came before.
    pub fn note(&mut self, cursor: &str) -> Result<(), CallError> {
        let pages = self.seen.len() + 1;
        if self.seen.insert(self.hasher.hash_one(cursor)) { Ok(()) } else { Err(CallError::Circular { pages }) }
    }
}

/// One walk through a list.
pub struct Walk {
    path: CallPath,
    /// `None`: there are no more pages.
    next: Option<Next>,
    cursors: Cursors,
    pages: usize,
}

enum Next {
    First,
    After(String),
}

impl Walk {
    pub fn new(path: CallPath) -> Self {
        Self { path, next: Some(Next::First), cursors: Cursors::default(), pages: 0 }
    }

    /// The next page, of at most so many rows. `None`: there is none.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn next<T: DeserializeOwned>(
        &mut self,
        client: &mut ApiClient,
        limit: u64,
    ) -> Result<Option<Page<T>>, CallError> {
        let path = match &self.next {
            None => return Ok(None),
            Some(_) if self.pages == PAGES_MAX => return Err(CallError::TooLong { pages: PAGES_MAX }),
            Some(Next::First) => self.path.clone().with("limit", limit),
            Some(Next::After(cursor)) => self.path.clone().with("limit", limit).with("cursor", cursor),
        };
        let page: Page<T> = client.send(ApiCall::get(path)).await?.json()?;
        self.pages += 1;
        if let Some(cursor) = &page.next_cursor {
            self.cursors.note(cursor)?;
        }
        self.next = page.next_cursor.clone().map(Next::After);
        Ok(Some(page))
    }

    /// Where it goes on. `None`: at the beginning, or it has ended.
    fn cursor(self) -> Option<String> {
        if let Some(Next::After(cursor)) = self.next { Some(cursor) } else { None }
    }
}

/// The first rows of a list, or all, as one page. Reports after each page how many there are. The cursor is there while there
/// may be more.
///
/// # Errors
/// [`CallError`].
pub async fn read_list<T: DeserializeOwned>(
    client: &mut ApiClient,
    path: CallPath,
    most: Option<u64>,
    mut report: impl FnMut(usize),
) -> Result<Page<T>, CallError> {
    let (mut walk, mut data) = (Walk::new(path), Vec::new());
    loop {
        let limit = most.map_or(PAGE, |most| most.saturating_sub(data.len() as u64).min(PAGE));
        let page = if limit == 0 { None } else { walk.next(client, limit).await? };
        let Some(page) = page else { return Ok(Page { data, next_cursor: walk.cursor() }) };
        data.extend(page.data);
        report(data.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_that_came_before_ends_a_walk() {
        let mut cursors = Cursors::default();
        assert!(["a", "b", "c"].iter().all(|cursor| cursors.note(cursor).is_ok()));
        assert!(matches!(cursors.note("b"), Err(CallError::Circular { pages: 4 })));
    }
}
