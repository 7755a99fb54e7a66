//! One integration binary, on real private servers. `support` starts them; everything else is tests by what they look at.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on says so by panicking, and prints what it saw"
)]

mod api;
mod backup;
mod chaos;
mod checkout;
mod cli_audit;
mod cli_bulk;
mod cli_demo;
mod cli_event;
mod cli_export;
mod cli_faulty;
mod cli_import_export;
mod cli_import_files;
mod cli_mistakes;
mod cli_order_review;
mod cli_sale_product;
mod cli_watch;
mod client;
mod connections;
mod deploy;
mod docs;
mod drop;
mod durability;
mod embedded;
mod house;
mod house_lua;
mod house_store;
mod hung_redis;
mod logs;
mod lua;
mod many_sales;
mod model;
mod money;
mod mutants;
mod observe;
mod openapi;
mod payments_interrupted;
mod reliability;
mod rush;
mod rush_sale;
mod rush_signals;
mod secrets;
mod secrets_everywhere;
mod servers;
mod slow_redis;
mod support;
mod threats;
mod topology;
mod trigger;
mod webhook_libraries;
