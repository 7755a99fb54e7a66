//! Leave to send a call to a server: a place among all that wait for it, and a turn.

use std::{cell::Cell, rc::Rc, sync::Arc};

use super::{
    error::Failure,
    meter::ServerCells,
    rank::Rank,
    turns::{Turn, Turns},
};

/// What one worker waits for at one server.
pub struct Admission {
    places: Rc<Places>,
    /// Those that the server has not answered yet have a turn, or wait for one. The others wait for a disk or a replica.
    turns: Rc<Turns>,
}

/// How many calls wait.
struct Places {
    taken: Cell<usize>,
    cells: Arc<ServerCells>,
}

/// Leave to send one call.
pub struct Permit {
    place: Place,
    turn: Turn,
}

/// The place of a call among those that wait, until this is dropped.
pub struct Place(Rc<Places>);

impl Admission {
    pub fn new(cells: Arc<ServerCells>) -> Self {
        Self { places: Rc::new(Places { taken: Cell::default(), cells }), turns: Rc::default() }
    }

    /// Waits for leave to send something, or not for its turn. `None`: it would have come too late.
    ///
    /// # Errors
    /// [`Failure::Overloaded`]: of all these places those for its rank are taken.
    pub async fn permit(&self, rank: Rank, places: usize, waits: bool) -> Result<Option<Permit>, Failure> {
        let taken = self.places.taken.get();
        if taken >= rank.in_flight_max(places) {
            return Err(Failure::overloaded(format!("{taken} calls wait for Redis already")));
        }
        let place = Place::of(&self.places);
        let turn = if waits { self.turns.take(rank).await } else { Some(self.turns.take_now()) };
        Ok(turn.map(|turn| Permit { place, turn }))
    }

    /// Whether a permit is for this server.
    pub fn gave(&self, permit: &Permit) -> bool {
        Rc::ptr_eq(&permit.place.0, &self.places)
    }
}

impl Permit {
    /// Its place, which it keeps until the call has its answer, and its turn, which ends when the server answers.
    pub fn into_parts(self) -> (Place, Turn) {
        (self.place, self.turn)
    }
}

impl Place {
    fn of(places: &Rc<Places>) -> Self {
        places.taken.set(places.taken.get() + 1);
        places.cells.in_flight.add(1);
        Self(Rc::clone(places))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
        self.0.cells.in_flight.take(1);
    }
}
