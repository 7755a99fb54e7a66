//! Who is refused first when many calls wait for a server: the last of these ranks.

use std::future::Future;

use super::catalogue::Op;

tokio::task_local! {
    /// The rank of what the calls of this task are parts of.
    static WITHIN: Rank;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Money that came, and what the service itself must know of a server.
    Payments,
    /// What buyers ask who have units.
    Orders,
    /// What gives units back, and what a person changes: who pauses a sale in a rush must not wait for its end.
    Releases,
    /// New holds.
    Holds,
    /// Reads of one thing.
    Reads,
    /// Lists and audits, and what is new to sell.
    Lists,
}

/// What a person changes: all that it takes.
pub const PERSON: Rank = Rank::Releases;

impl Rank {
    pub fn of(op: Op) -> Self {
        match op {
            Op::Settle | Op::Confirm | Op::KeepUnmatched | Op::NotePayment => Self::Payments,
            Op::Order | Op::StartPayment => Self::Orders,
            Op::Release
            | Op::Cancel
            | Op::Expire
            | Op::Extend
            | Op::ChangeSale
            | Op::ChangeProduct
            | Op::FindTerms
            | Op::CopyTerms
            | Op::Restock
            | Op::Resolve => Self::Releases,
            Op::Hold | Op::HoldSales | Op::FindFree | Op::Lend | Op::Borrow => Self::Holds,
            Op::Stock | Op::FindHold | Op::FindOrder | Op::FindCustomer | Op::FindSale => Self::Reads,
            Op::FindDue
            | Op::ListOrders
            | Op::ReadOrders
            | Op::AuditUnits
            | Op::AuditHolds
            | Op::AuditOrders
            | Op::Repair
            | Op::ListReviews
            | Op::PutSale
            | Op::ClaimProduct
            | Op::ChangeListing
            | Op::RemoveProduct
            | Op::ArriveProduct
            | Op::PutProduct => Self::Lists,
        }
    }

    /// Does work that matters so much. Whatever it asks of a server, it needs: so no call in it is refused before one of this rank. Not
    /// in tasks that it begins.
    pub async fn within<F: Future>(self, work: F) -> F::Output {
        WITHIN.scope(self.here(), work).await
    }

    /// The rank of a call here: its own, or that of the work that it is a part of.
    pub fn here(self) -> Self {
        WITHIN.try_with(|work| self.min(*work)).unwrap_or(self)
    }

    /// Calls of all ranks in flight at which those of this one are refused. New holds leave a quarter to what matters more.
    pub fn in_flight_max(self, all: usize) -> usize {
        let sixteenths = match self {
            Self::Payments => 16,
            Self::Orders => 14,
            Self::Releases => 13,
            Self::Holds => 12,
            Self::Reads => 10,
            Self::Lists => 8,
        };
        (all * sixteenths).div_ceil(16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANKS: [Rank; 6] = [Rank::Payments, Rank::Orders, Rank::Releases, Rank::Holds, Rank::Reads, Rank::Lists];

    #[test]
    fn a_pause_comes_before_the_rush_that_it_ends() {
        assert!(
            [Op::ChangeSale, Op::ChangeProduct, Op::Restock].map(Rank::of).into_iter().all(|rank| rank < Rank::Holds)
        );
    }

    #[tokio::test]
    async fn a_call_has_the_rank_of_the_work_that_needs_it() {
        assert_eq!(Rank::Reads.here(), Rank::Reads);
        let ranks = async || [Rank::Payments, Rank::Reads].map(Rank::here);
        assert_eq!(Rank::Releases.within(ranks()).await, [Rank::Payments, Rank::Releases]);
        let nested = Rank::Orders.within(Rank::Releases.within(ranks()));
        assert_eq!(nested.await, [Rank::Payments, Rank::Orders]);
    }

    #[test]
    fn a_rank_has_no_more_places_than_one_that_matters_more_and_money_has_all() {
        assert!(RANKS.is_sorted());
        for all in [1, 2, 6, 100, 4_096, 1_000_000] {
            let places = RANKS.map(|rank| rank.in_flight_max(all));
            assert!(places.is_sorted_by(|more, less| more >= less) && places[0] == all, "{all}: {places:?}");
            assert!(places.iter().all(|places| *places > 0), "{all}: {places:?}");
        }
        assert_eq!(RANKS.map(|rank| rank.in_flight_max(4_096)), [4_096, 3_584, 3_328, 3_072, 2_560, 2_048]);
    }
}
