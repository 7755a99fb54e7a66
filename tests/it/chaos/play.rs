//! One run: a stage, a crowd and the nemesis, and then the history of it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::json;

use super::{
    afterwards,
    client::Recorder,
    crowd::Crowd,
    dice::Dice,
    history::{History, Offer},
    nemesis,
    services::Service,
    stage::{Stage, Topology},
    watch::Watch,
};

/// What the seed decides beforehand.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    pub topology: Topology,
    pub seconds: u64,
}

const NEMESIS: u64 = 1_000;
const STAGE: u64 = 2_000;

impl Plan {
    /// Plays it. Panics where the harness itself cannot go on.
    pub fn play(&self) -> History {
        let mut dice = Dice::of_part(self.seed, STAGE);
        let services = usize::try_from(dice.between(2, 4)).unwrap();
        let mut stage = Stage::build(self.topology, services, dice.percent(50), dice.percent(60));
        let recorder = Recorder::new(stage.services.iter().map(|service| service.addr).collect());
        let offers = offers(&stage.sales);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(open(&recorder, &offers));
        let has_ended = AtomicBool::new(false);
        let until = Instant::now() + Duration::from_secs(self.seconds);
        let (began, seed) = (recorder.began(), self.seed);
        let watch = Watch::new(began);
        let (mut faults, mut end) = std::thread::scope(|scope| {
            let _watching = watch.start(scope, stage.ports_of_pairs());
            let (stage, has_ended) = (&mut stage, &has_ended);
            let nemesis = scope.spawn(move || {
                let faults = nemesis::play(stage, &mut Dice::of_part(seed, NEMESIS), began, has_ended);
                stage.wait_until_it_works();
                faults
            });
            let stop = || Instant::now() >= until;
            runtime.block_on(Crowd::run(&recorder, &offers, seed, &stop));
            has_ended.store(true, Ordering::Relaxed);
            let faults = nemesis.join().expect("the nemesis heals what it did");
            let end = runtime.block_on(async {
                afterwards::ask_again(&recorder).await;
                afterwards::read_end(&recorder, &offers).await
            });
            (faults, end)
        });
        faults.extend(watch.spans(&faults));
        if !stage.demands_replicas {
            faults.iter_mut().filter(|span| span.may_lose()).for_each(|span| span.lost_at_ns.push(span.end_ns));
        }
        end.complaints = stage.services.iter().flat_map(Service::complaints).collect();
        // A sweep would write while the invariants are read.
        stage.services.iter_mut().for_each(Service::kill);
        // What is wrong is printed by whoever panics about it.
        if catch_unwind(AssertUnwindSafe(|| stage.check_invariants())).is_err() {
            end.complaints.push("what is in Redis does not obey the invariants: see above".to_owned());
        }
        History {
            offers,
            calls: recorder.calls.take(),
            has_other_clock: faults.iter().any(|fault| fault.name.contains("ClockStep")),
            faults,
            end,
            began_ms: recorder.began_ms,
        }
    }
}

/// Few products of few units, so that buyers meet each other, the limits and the end of the stock all the time.
fn offers(sales: &[String]) -> Vec<Offer> {
    let mut offers = Vec::new();
    for (number, sale) in (0u64..).zip(sales) {
        let (most, most_of_sale) = if number == 0 { (Some(3), None) } else { (None, Some(5)) };
        for (more, units) in [(1, 8), (2, 14)] {
            let product = number * 2 + more;
            offers.push(Offer { product, sale: sale.clone(), units, most: most.filter(|_| more == 1), most_of_sale });
        }
    }
    offers
}

/// Makes the sales and products. Their holds and orders live for seconds.
async fn open(recorder: &Recorder, offers: &[Offer]) {
    for offer in offers {
        let sale = json!({"id": offer.sale, "hold_seconds": 1, "hold_seconds_max": 3, "payment_seconds": 2,
                          "payment_seconds_max": 4, "review_seconds": 2, "max_per_customer": offer.most_of_sale});
        let product = json!({"id": offer.product, "sale": offer.sale, "name": "Item", "price": "10.00",
                             "total_stock": offer.units, "max_per_customer": offer.most});
        for (path, body) in [("/api/admin/sales", sale), ("/api/admin/products", product)] {
            let started = Instant::now();
            loop {
                let answer = recorder.admin(Method::POST, path, Some(&body)).await;
                if answer.as_ref().is_some_and(|(status, _)| [200, 201, 409].contains(status)) {
                    break;
                }
                assert!(started.elapsed() < Duration::from_mins(1), "{path}: {answer:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
