//! Each fault as a scenario under load: `make reliability` runs them all, measures what they cost, and writes RELIABILITY.md.
//! `make reliability SCENARIO=sentinel` runs those with this word in their name, and writes nothing. Tests elsewhere, which the
//! page names, look at the same faults whenever `make test` runs; here are the figures.

mod cluster;
mod load;
mod machine;
mod measured;
mod page;
mod redis_alone;
mod rolling;
mod scenarios;
mod sentinel;
mod service;
mod spread;

use self::{measured::Measured, scenarios::SCENARIOS};

#[tokio::test]
#[ignore = "it takes several minutes: make reliability"]
async fn the_reliability_of_each_fault_is_measured() {
    let wanted = std::env::var("FLASHSALE_SCENARIO").unwrap_or_default();
    let load = machine::load();
    let mut rows = Vec::new();
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.name.contains(&wanted)) {
        println!("{}: {}", scenario.name, scenario.fault);
        let figures = (scenario.run)().await.as_ref().map_or_else(page::not_here, Measured::figures);
        println!("    {figures}");
        rows.push((scenario, figures));
    }
    assert!(!rows.is_empty(), "no scenario has {wanted} in its name");
    if wanted.is_empty() {
        page::write(&rows, &load);
    }
}
