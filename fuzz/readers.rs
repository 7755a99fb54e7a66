//! One program for all targets: `TARGET=heads readers corpus/heads` fuzzes the target `heads`.
#![no_main]

use std::sync::LazyLock;

use flashsale::fuzzing::{TARGETS, Target, target};
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("TARGET").unwrap_or_default();
    let known = TARGETS.map(|(name, _)| name).join(", ");
    target(&name).unwrap_or_else(|| panic!("TARGET is {name:?}, and must be one of {known}"))
});

fuzz_target!(|bytes: &[u8]| TARGET(bytes));
