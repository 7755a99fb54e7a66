//! A shop's drop from start to end: thirty sizes of three models, with nothing but the command line and a client of forty lines.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    cli_import_export::{folder, run},
    house::root,
    support::{
        app::TestApp,
        commands::{done, json_of, program},
        eventually,
    },
};

/// What shipping costs, in cents.
const SHIPPING: u64 = 990;
/// Holds that each customer sends at once.
const HOLDS: &str = "50";

/// What the client prints.
fn client(app: &TestApp, arguments: &[&str]) -> Value {
    let mut client = Command::new("python3");
    client.arg(root().join("tests/it/drop/client.py")).args(arguments);
    let output = client.env("FLASHSALE_URL", format!("http://{}", app.addr)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn cents(amount: &str) -> u64 {
    amount.replace('.', "").parse().unwrap()
}

fn amount(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn show(app: &TestApp, order: &str) -> Value {
    json_of(app, &format!("order show {order} --json"))
}

fn total(app: &TestApp, order: &str) -> u64 {
    cents(show(app, order)["total_amount"].as_str().unwrap())
}

/// Reports money for an order. Gives what became of the order.
fn pay(app: &TestApp, order: &str, payment: &str, sum: u64) -> String {
    done(app, &format!("trigger paid {order} --payment-id {payment} --amount {}", amount(sum)));
    show(app, order)["status"].as_str().unwrap().to_owned()
}

/// Resolves the only open review.
fn resolve(app: &TestApp, reason: &str, action: &str) {
    let open = json_of(app, "review list --sale drop --json");
    let [review] = &open["data"].as_array().unwrap()[..] else { panic!("{open}") };
    assert_eq!(review["reason"], reason);
    let arguments = ["review", action, review["id"].as_str().unwrap(), "--note", "as agreed with the buyer"];
    assert!(program(app).args(arguments).output().unwrap().status.success(), "{arguments:?}");
}

/// The rows of an export, by the names of their columns.
fn exported(app: &TestApp, arguments: &str) -> Vec<BTreeMap<String, String>> {
    let table = done(app, &format!("export --sale drop {arguments}"));
    csv::Reader::from_reader(table.as_bytes()).deserialize().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_drop_is_sold_with_nothing_but_the_command_line_and_forty_lines_of_a_client() {
    if !has_python() {
        crate::support::left_out("no python3");
        return;
    }
    let app = TestApp::start();
    prepare(&app);

    // Buyers, each with fifty holds at once over all sizes.
    let buyers = ["anna", "ben", "cleo", "dan", "eve"];
    let rush = client(&app, &[&["hold", HOLDS], &buyers[..]].concat());
    assert_eq!(rush["refused"], json!({"customer_limit_reached sale": 48 * buyers.len()}));
    let held = |buyer: &str| texts(&rush["held"][buyer]);
    assert!(buyers.iter().all(|buyer| held(buyer).len() == 2), "{rush}");

    restock_while_paused(&app);
    let latecomer = client(&app, &["hold", HOLDS, "fay"]);
    let [late, never] = texts(&latecomer["held"]["fay"])[..] else { panic!("{latecomer}") };

    let holds: Vec<&str> = buyers.iter().flat_map(|buyer| held(buyer)).chain([never]).collect();
    let orders = client(&app, &[&["order"], &holds[..]].concat());
    let mut orders = texts(&orders);
    let never = orders.pop().unwrap();
    done(&app, "sale change drop --payment-seconds 1 --payment-seconds-max 1");
    let late = client(&app, &["order", late])[0].as_str().unwrap().to_owned();
    done(&app, "sale change drop --payment-seconds 2400 --payment-seconds-max 2400");

    // Money with shipping on top; and twice too little, of which one is taken and one goes back.
    for (at, order) in orders[2..].iter().enumerate() {
        assert_eq!(pay(&app, order, &format!("pi_{at}"), total(&app, order) + SHIPPING), "paid");
    }
    assert_eq!(pay(&app, orders[0], "pi_coupon", total(&app, orders[0]) - 500), "in_review");
    resolve(&app, "amount_mismatch", "accept");
    assert_eq!(show(&app, orders[0])["status"], "paid");
    assert_eq!(pay(&app, orders[1], "pi_less", total(&app, orders[1]) - 5000), "in_review");
    resolve(&app, "amount_mismatch", "refund");
    assert_eq!(show(&app, orders[1])["status"], "refund_required");
    done(&app, &format!("trigger refunded {} --payment-id pi_less", orders[1]));
    assert_eq!(show(&app, orders[1])["status"], "refunded");

    // One comes late, and there are units; one comes after the shop has cancelled what nobody paid.
    eventually("the order expires", async || show(&app, &late)["status"] == "expired").await;
    assert_eq!(pay(&app, &late, "pi_late", total(&app, &late) + SHIPPING), "paid");
    assert_eq!(show(&app, &late)["late"], true);
    done(&app, "sale change drop --ends-at now");
    let cancelled = json_of(&app, "order cancel --sale drop --pending --yes --reason over --json");
    assert_eq!((&cancelled["done"], &cancelled["rows"][0]["order"]), (&json!(1), &json!(never)));
    assert_ne!(pay(&app, never, "pi_never", total(&app, never) + SHIPPING), "paid");
    resolve(&app, "order_cancelled", "refund");
    done(&app, &format!("trigger refunded {never} --payment-id pi_never"));

    account(&app, orders.len() + 2);
}

/// The sale first, paused, then its products, from the file of the shop.
fn prepare(app: &TestApp) {
    done(app, "sale create drop --paused --max-per-customer 2 --payment-amount at_least --hold-seconds 600");
    let file = root().join("tests/it/files/imports/shopify_drop.csv");
    let import =
        format!("import {} --preset shopify --map group=Handle --sale drop --currency EUR --json", file.display());
    assert_eq!(json_of(app, &import)["created"], 30);
    let products = json_of(app, "product list --sale drop --json");
    let products = products["data"].as_array().unwrap();
    let sizes = |group: &str| products.iter().filter(|product| product["group"] == group).count();
    assert_eq!(["dune-runner", "night-court", "tide-hi"].map(sizes), [10, 10, 10]);
    assert!(products.iter().any(|product| product["sku"] == "NC-38_5" && product["price"] == "119.90"), "{products:?}");
    done(app, "sale resume drop");
}

/// Two more of each size, once, however often it is sent. Meanwhile nobody can hold.
fn restock_while_paused(app: &TestApp) {
    let units = |app: &TestApp| -> u64 {
        let products = json_of(app, "product list --sale drop --json");
        products["data"].as_array().unwrap().iter().map(|product| product["total_stock"].as_u64().unwrap()).sum()
    };
    let before = units(app);
    done(app, "sale pause drop");
    let refused = client(app, &["hold", "3", "fay"]);
    assert_eq!(refused, json!({"held": {}, "refused": {"sale_paused": 3}}));
    let restock = "product restock --sale drop --delta 2 --run second-truck --reason truck --json";
    assert_eq!(json_of(app, restock)["done"], 30);
    assert_eq!(json_of(app, restock)["unchanged"], 30);
    assert_eq!(units(app), before + 2 * 30);
    done(app, "sale resume drop");
}

/// What the warehouse and the accounts get has the sums of the counters, which the audit compares with the records.
fn account(app: &TestApp, orders: usize) {
    let audit = json_of(app, "audit --sale drop --json");
    assert_eq!((&audit["ok"], &audit["sales"][0]["orders"]), (&json!(true), &json!(orders)));
    assert_eq!((&audit["sales"][0]["holds"], &audit["sales"][0]["products"]), (&json!(0), &json!(30)));
    assert_eq!(json_of(app, "review list --json")["data"], json!([]));

    let items = exported(app, "--per item");
    let named: BTreeSet<_> = items.iter().map(|item| &item["order_id"]).collect();
    assert_eq!(named.len(), orders);
    let mut sold = BTreeMap::new();
    for item in items.iter().filter(|item| item["counted_as"] == "sold") {
        *sold.entry(item["sku"].clone()).or_default() += item["quantity"].parse::<u64>().unwrap();
    }
    let products = json_of(app, "product list --sale drop --json");
    let products = products["data"].as_array().unwrap();
    let counted = products
        .iter()
        .map(|product| (product["sku"].as_str().unwrap().to_owned(), product["sold_stock"].as_u64().unwrap()));
    assert_eq!(sold, counted.filter(|(_, units)| *units > 0).collect());
    assert!(products.iter().all(|product| product["held_stock"] == 0 && product["pending_stock"] == 0));

    let sum = |rows: &[BTreeMap<String, String>], column: &str| rows.iter().map(|row| cents(&row[column])).sum::<u64>();
    let of = |rows: Vec<BTreeMap<String, String>>| rows.into_iter().filter(|row| row["status"] == "paid").collect();
    let (items, paid): (Vec<_>, Vec<_>) = (of(items), of(exported(app, "--per order")));
    assert_eq!((paid.len(), sum(&items, "line_amount")), (orders - 2, sum(&paid, "total_amount")));
    // Shipping of all but the one that paid five less.
    let shipping = SHIPPING * (paid.len() as u64 - 1) - 500;
    assert_eq!(sum(&paid, "net_amount"), sum(&paid, "total_amount") + shipping);
    let (status, table, _) = run(app, &folder(), "export --sale drop --per payment");
    assert!(status == 0 && table.contains("pi_never") && table.contains("pi_late"), "{table}");
}
