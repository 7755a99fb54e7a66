//! A reader of server-sent events, as strict as a browser.

use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use super::contract::{self, Ask};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    pub name: String,
    pub id: String,
    pub data: Value,
}

pub struct EventStream {
    response: Response,
    path: String,
    /// What came behind the last whole block.
    rest: String,
    /// Milliseconds after which a browser would come back.
    pub retry_ms: Option<u64>,
    /// Comments that came.
    pub comments: usize,
}

impl EventStream {
    pub async fn open(request: RequestBuilder) -> Self {
        Self::read_from(request.ask_head().await.unwrap())
    }

    /// The same behind an nginx, which keeps a header to itself.
    pub async fn open_behind_nginx(request: RequestBuilder) -> Self {
        Self::read_from(request.send().await.unwrap())
    }

    fn read_from(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store, no-transform");
        let path = response.url().path().to_owned();
        Self { response, path, rest: String::new(), retry_ms: None, comments: 0 }
    }

    /// The next event. `None`: the stream has ended.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.rest.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.rest = rest;
                if let Some(event) = self.read(&block) {
                    return Some(event);
                }
            }
            let chunk = self.response.chunk().await.expect("a stream ends with its last chunk")?;
            self.rest.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The events up to the first that is so.
    pub async fn until(&mut self, is_wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut seen = Vec::new();
        loop {
            let event = self.next().await.expect("the stream goes on");
            seen.push(event);
            if is_wanted(&seen[seen.len() - 1]) {
                return seen;
            }
        }
    }

    /// A block without data is no event.
    fn read(&mut self, block: &str) -> Option<Event> {
        let mut event = Event::default();
        for line in block.lines() {
            match line.split_once(": ") {
                Some(("event", name)) => name.clone_into(&mut event.name),
                Some(("id", id)) => id.clone_into(&mut event.id),
                Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
                Some(("retry", ms)) => self.retry_ms = Some(ms.parse().unwrap()),
                _ if line.starts_with(':') => self.comments += 1,
                _ => panic!("no line of an event: {line}"),
            }
        }
        if event.data.is_null() {
            return None;
        }
        contract::check_event(&self.path, &event.data);
        Some(event)
    }
}
