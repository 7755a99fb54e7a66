//! What a finished order (held, ordered, paid) costs Redis and how many bytes it takes, as their number grows. Every call
//! goes through the service, as those of buyers and of a payment provider do.
//!
//! Each number is measured in turns with a fresh service that has few orders: the ratio is what counts.

use std::io;

use crate::{
    measure::{self, Load},
    progress::Progress,
    script::count,
    stand::{Durability, Ground, Setup, Stand, memory, scripts},
    workloads::PLENTY,
};

pub const FEW: u64 = 10_000;
pub const MANY: u64 = 1_000_000;
const TURNS: usize = 3;
/// A guess, for the estimate of the time.
const ORDERS_PER_SECOND: f64 = 5_000.0;

#[derive(Clone, Debug)]
pub struct Mark {
    pub orders: u64,
    pub bytes_per_order: f64,
    /// Redis's time for a whole order, in microseconds, in each turn; and beside, with [`FEW`] orders.
    pub us_per_order: Vec<f64>,
    pub us_with_few: Vec<f64>,
}

/// # Errors
/// When something cannot be started or fails.
pub fn growth(ground: &Ground, connections: usize, most: u64, progress: &Progress) -> io::Result<Vec<Mark>> {
    let mut grown = Shop::open(ground, connections)?;
    let mut marks = Vec::new();
    let wanted = [FEW, 100_000, most];
    for orders in wanted.into_iter().filter(|orders| *orders <= most) {
        progress.step(estimate(orders - grown.orders.min(orders)), &format!("orders: {orders} finished orders"));
        let bytes_per_order = grown.grow(orders)?;
        let mut mark = Mark { orders, bytes_per_order, us_per_order: Vec::new(), us_with_few: Vec::new() };
        let mut few = Shop::open(ground, connections)?;
        few.grow(FEW)?;
        progress.step(weight_of_turns(), &format!("orders: {orders} beside {FEW}"));
        for _ in 0..TURNS {
            mark.us_with_few.push(few.sell_for(1)?);
            mark.us_per_order.push(grown.sell_for(1)?);
        }
        marks.push(mark);
        if orders == most {
            break;
        }
    }
    Ok(marks)
}

/// The approximate seconds of this part.
pub fn weight(most: u64) -> f64 {
    estimate(most) + 3.0 * weight_of_turns()
}

fn estimate(orders: u64) -> f64 {
    count(usize::try_from(orders).unwrap_or(usize::MAX)) / ORDERS_PER_SECOND
}

fn weight_of_turns() -> f64 {
    count(TURNS) * 2.5 + 4.0
}

/// A service that has sold.
struct Shop {
    stand: Stand,
    connections: usize,
    orders: u64,
    empty_bytes: f64,
}

impl Shop {
    fn open(ground: &Ground, connections: usize) -> io::Result<Self> {
        let setup = Setup::of(1, PLENTY, Durability::Off);
        let stand = Stand::start(ground, &setup)?;
        let empty_bytes = memory(&mut stand.redis()?.connect()?)?;
        Ok(Self { stand, connections, orders: 0, empty_bytes })
    }

    /// Sells until this many orders are finished; gives the bytes of each.
    fn grow(&mut self, orders: u64) -> io::Result<f64> {
        let mut per_second = 0.0;
        while self.orders < orders {
            let left = count(usize::try_from(orders - self.orders).unwrap_or(usize::MAX));
            let seconds = if per_second > 0.0 { (left / per_second).clamp(1.0, 30.0) } else { 1.0 };
            let before = self.orders;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 30")]
            self.sell_for(seconds as u64)?;
            let sold = count(usize::try_from(self.orders - before).unwrap_or(usize::MAX));
            if sold < 1.0 {
                return Err(io::Error::other("no order was finished"));
            }
            per_second = sold / seconds;
        }
        let bytes = memory(&mut self.stand.redis()?.connect()?)? - self.empty_bytes;
        Ok(bytes / count(usize::try_from(self.orders).unwrap_or(usize::MAX)))
    }

    /// Redis's time for each order that was finished meanwhile, in microseconds.
    fn sell_for(&mut self, seconds: u64) -> io::Result<f64> {
        let mut connection = self.stand.redis()?.connect()?;
        let (before_us, before_orders) = (scripts(&mut connection)?.us, self.orders);
        measure::run(&self.stand, Load::Lifecycle, self.connections, seconds)?;
        let us = scripts(&mut connection)?.us - before_us;
        self.orders = self.stand.product_figure("sold_stock")?;
        Ok(us / count(usize::try_from(self.orders - before_orders).unwrap_or(usize::MAX)))
    }
}
