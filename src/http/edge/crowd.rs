//! The crowd: connections beyond the places of a worker.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    io::Write,
    rc::Rc,
};

use actix_web::rt::net::TcpStream;
use tokio::sync::Notify;

/// The answer to a connection that not even the crowd has room for. It comes before the request was read.
const FULL: &str =
    "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: 1\r\nconnection: close\r\n\r\n";

/// Marks the requests of a connection in the crowd.
pub(in crate::http) struct InCrowd;

/// A connection in the crowd.
#[derive(Default)]
pub(super) struct Place {
    /// Whether the client has said anything.
    pub(super) heard: Cell<bool>,
    must_leave: Notify,
}

pub(super) struct Crowd {
    places_max: usize,
    /// The oldest first.
    places: RefCell<Vec<Rc<Place>>>,
}

impl Crowd {
    pub(super) fn new(places_max: usize) -> Self {
        Self { places_max, places: RefCell::default() }
    }

    /// A place, if need be that of the oldest connection that has said nothing. `None` when all have said something.
    pub(super) fn enter(&self) -> Option<Rc<Place>> {
        let mut places = self.places.borrow_mut();
        if places.len() >= self.places_max {
            let silent = places.iter().position(|place| !place.heard.get())?;
            places.remove(silent).must_leave.notify_one();
        }
        let place = Rc::<Place>::default();
        places.push(Rc::clone(&place));
        Some(place)
    }

    /// Keeps the connection until it ends, or has to make room for another one.
    pub(super) async fn keep<E>(
        self: Rc<Self>,
        place: Rc<Place>,
        connection: impl Future<Output = Result<(), E>> + Unpin,
    ) -> Result<(), E> {
        let ended = tokio::select! {
            ended = connection => ended,
            () = place.must_leave.notified() => Ok(()),
        };
        self.places.borrow_mut().retain(|other| !Rc::ptr_eq(other, &place));
        ended
    }
}

/// Answers at once, without waiting for the request: a new connection has room for so few bytes.
pub(super) fn refuse(io: TcpStream) {
    let _client_may_be_gone = io.into_std().and_then(|mut io| io.write_all(FULL.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newcomers_take_the_places_of_those_who_say_nothing_the_oldest_first() {
        let crowd = Crowd::new(2);
        let (first, second) = (crowd.enter().unwrap(), crowd.enter().unwrap());
        first.heard.set(true);
        let third = crowd.enter().unwrap();
        let inside = |place| crowd.places.borrow().iter().any(|other| Rc::ptr_eq(other, place));
        assert_eq!([&first, &second, &third].map(inside), [true, false, true]);
        third.heard.set(true);
        assert!(crowd.enter().is_none(), "nobody who is being answered is sent away");
    }
}
