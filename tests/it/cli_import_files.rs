//! `flashsale import` of what spreadsheets and shops write. The files are in `files/imports`, in the shape of real exports.

use std::{fs, path::PathBuf};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    cli_import_export::{folder, run},
    house::root,
    support::app::TestApp,
};

fn file(name: &str) -> PathBuf {
    root().join("tests/it/files/imports").join(name)
}

/// Runs an import of a file; `{}` in the arguments is the file.
fn import(app: &TestApp, folder: &TempDir, name: &str, arguments: &str) -> (i32, Value, String) {
    let arguments = format!("import {} --json {arguments}", file(name).display());
    let (status, printed, stderr) = run(app, folder, arguments.trim());
    (status, serde_json::from_str(&printed).unwrap_or_default(), stderr)
}

async fn product(app: &TestApp, id: u64, fields: &[&str]) -> Value {
    let product = app.get(&format!("/api/products/{id}")).await.body;
    fields.iter().map(|field| product[*field].clone()).collect()
}

/// Every file has the same three products.
#[tokio::test]
async fn a_table_is_imported_as_each_program_writes_it() {
    let fields = ["sale", "name", "price", "currency", "total_stock", "max_per_hold"];
    for (name, arguments) in [
        ("excel_utf8_german.csv", ""),
        ("excel_windows_1252.csv", "--encoding windows-1252"),
        ("excel_unicode_text.txt", "--format csv"),
        ("excel_mac.csv", "--encoding macintosh"),
        ("excel_sep_line.csv", ""),
        ("libreoffice.csv", ""),
        ("numbers.csv", ""),
        ("pandas.csv", ""),
    ] {
        let (app, folder) = (TestApp::start(), folder());
        let (status, report, stderr) = import(&app, &folder, name, arguments);
        assert_eq!(
            (status, &report["created"], &report["failed"]),
            (0, &json!(3), &json!(0)),
            "{name}: {report} {stderr}"
        );
        let expected = json!(["drop", "Küche; \"groß\"", "1234.50", "EUR", 20, 2]);
        assert_eq!(product(&app, 1, &fields).await, expected, "{name}");
        let expected = json!(["drop", "Zeile eins Zeile zwei", "9.90", "EUR", 307, 10]);
        assert_eq!(product(&app, 2, &fields).await, expected, "{name}");
        assert_eq!(product(&app, 3, &fields).await[1], "007", "{name}");
        let (status, again, _) = import(&app, &folder, name, arguments);
        assert_eq!(
            (status, &again["already_there"], &again["rows"][0]["differs"]),
            (0, &json!(3), &json!([])),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_name_in_an_encoding_that_nobody_named_is_refused_and_not_guessed() {
    let (app, folder) = (TestApp::start(), folder());
    let (status, report, _) = import(&app, &folder, "excel_windows_1252.csv", "");
    assert_eq!((status, &report["created"], &report["failed"]), (1, &json!(2), &json!(1)), "{report}");
    assert_eq!(report["rows"][0]["detail"], "name is not UTF-8; save the file as CSV UTF-8");
}

#[tokio::test]
async fn each_variant_of_a_shopify_export_becomes_a_product_with_an_id_that_stays() {
    let (app, folder) = (TestApp::start(), folder());
    app.admin(Method::POST, "/api/admin/sales", json!({"id": "drop", "name": "Drop", "paused": true})).await;
    let arguments = "--preset shopify --sale drop --currency EUR";
    let (status, rehearsed, stderr) = import(&app, &folder, "shopify_export.csv", &format!("{arguments} --dry-run"));
    let counts =
        |report: &Value| ["would_create", "created", "failed"].map(|name| report[name].as_u64().unwrap_or_default());
    assert_eq!((status, counts(&rehearsed)), (1, [3, 0, 1]), "{rehearsed} {stderr}");
    assert_eq!(rehearsed["skipped"], json!({"rows of images alone": 2}));
    let left_out = rehearsed["left_out"].as_array().unwrap();
    assert!(left_out.len() > 50 && left_out.contains(&json!("Body (HTML)")), "{left_out:?}");
    assert_eq!(app.get("/api/products").await.body["data"], json!([]), "a dry run makes nothing");

    let (_, report, _) = import(&app, &folder, "shopify_export.csv", arguments);
    assert_eq!(counts(&report), [0, 3, 1], "{report}");
    let rows = report["rows"].as_array().unwrap();
    let detail = rows[2]["detail"].as_str().unwrap();
    assert!(rows[2]["row"] == 3 && detail.starts_with("total_stock is negative: the shop sold more"), "{detail}");
    let mut names = Vec::new();
    for row in [0, 1, 3] {
        let id = rows[row]["id"].as_u64().unwrap();
        names.push(product(&app, id, &["name", "price", "currency", "total_stock", "sale"]).await);
    }
    let expected = json!([
        ["Dune Runner, \"Sand\" / Sand / 41", "129.00", "EUR", 12, "drop"],
        ["Dune Runner, \"Sand\" / Sand / 42", "129.00", "EUR", 0, "drop"],
        ["Poster \"Küche\" 50×70", "24.90", "EUR", 80, "drop"],
    ]);
    assert_eq!(json!(names), expected);

    // The columns of today name the same variants.
    let (status, report, _) = import(&app, &folder, "shopify_template.csv", arguments);
    assert_eq!((status, &report["already_there"], &report["created"]), (0, &json!(2), &json!(0)), "{report}");
    assert_eq!(report["rows"][1]["differs"], json!([]));
}

#[tokio::test]
async fn a_woocommerce_export_gives_its_ids_regular_prices_and_variations() {
    let (app, folder) = (TestApp::start(), folder());
    let arguments = "--preset woocommerce --sale drop --currency EUR";
    let (status, report, stderr) = import(&app, &folder, "woocommerce_export.csv", arguments);
    assert_eq!((status, &report["created"], &report["failed"]), (1, &json!(2), &json!(2)), "{report} {stderr}");
    assert_eq!(report["skipped"], json!({"grouped and external products": 2, "parents of variations": 1}));
    assert!(report["left_out"].as_array().unwrap().contains(&json!("Sale price")), "{report}");
    assert_eq!(product(&app, 45, &["name", "price", "total_stock"]).await, json!(["-10% Cap", "18.00", 35]));
    assert_eq!(product(&app, 47, &["name", "price", "total_stock"]).await, json!(["Hoodie / Blue / Yes", "45.50", 8]));
    let details: Vec<_> = report["rows"].as_array().unwrap().iter().filter_map(|row| row["detail"].as_str()).collect();
    assert_eq!(details, ["total_stock is required", "total_stock must be a whole number from 0 to 1000000000"]);
    let (_, other, _) =
        import(&app, &folder, "woocommerce_export.csv", &format!("{arguments} --map price=Sale\u{a0}price"));
    assert_eq!(other, Value::Null, "a column that is not there");
}

#[tokio::test]
async fn an_update_and_what_is_wrong_and_what_differs_are_reported_apart() {
    let (app, folder) = (TestApp::start(), folder());
    let write =
        |text: &str| fs::write(folder.path().join("p.csv"), format!("Nr;Titel;Preis;Bestand;Sale\n{text}")).unwrap();
    let arguments = "import p.csv --map id=nr --map name=Titel --map price=Preis --map total_stock=Bestand";
    write("1;Hut;9,00;5;drop\n2;Schal;9,00;5;drop\n3;Tuch;9,00;5;drop\n4;Band;9;5;drop\n");
    assert_eq!(run(&app, &folder, arguments).0, 0);
    write("1;Hut;10,00;5;drop\n2;Schal;9;6;drop\n3;Tuch;9;5;else\n4;Band;9;-1;drop\n5;Neu;9;1;drop\n");
    let expected = "\
ROW  PRODUCT  FIELD        WHAT IS WRONG
  4  4 Band   total_stock  total_stock is negative: the shop sold more than it had. Write what there is, at least 0

ROW  PRODUCT  NOT AS IN THE FILE
  3  3 Tuch   sale
  They stay as they are: a product of another sale or currency is another product.

stock differs of 1 product: 2 Schal
  An import changes no stock; `flashsale product restock` does.

would create 1, would change 1, already there 2 (1 not as in the file, 1 with another stock), failed 1
dry run: nothing was changed
";
    assert_eq!(run(&app, &folder, &format!("{arguments} --update --dry-run")), (1, expected.to_owned(), String::new()));
    assert_eq!(product(&app, 1, &["price"]).await, json!(["9.00"]));
    let (status, printed, _) = run(&app, &folder, &format!("{arguments} --update"));
    assert!(status == 1 && printed.contains("\ncreated 1, changed 1, already there 2 (1 not"), "{printed}");
    assert_eq!(product(&app, 1, &["price", "total_stock"]).await, json!(["10.00", 5]));
    assert_eq!(product(&app, 2, &["total_stock"]).await, json!([5]), "never the stock");
}

#[tokio::test]
async fn a_dry_run_over_several_calls_names_a_new_sale_once_and_finds_an_id_that_comes_twice() {
    let (app, folder) = (TestApp::start(), folder());
    let rows: String = (1..=450).map(|row| format!("{},drop,Item,1,1\n", row % 449)).collect();
    fs::write(folder.path().join("p.csv"), format!("id,sale,name,price,total_stock\n{rows}")).unwrap();
    let (status, printed, _) = run(&app, &folder, "import p.csv --dry-run --json");
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((status, &report["would_create"], &report["failed"]), (1, &json!(448), &json!(2)), "{printed}");
    assert_eq!(report["new_sales"], json!([{"id": "drop", "status": "live"}]));
    assert_eq!(report["rows"][449]["detail"], "a row before it has the same id");
}

#[tokio::test]
async fn a_sale_and_a_currency_are_for_rows_that_name_none_and_unknown_columns_are_named() {
    let (app, folder) = (TestApp::start(), folder());
    let table = "id,name,price,total_stock,sale,colour\n1,Hat,9,5,,red\n2,Bag,9,5,other,\n";
    fs::write(folder.path().join("p.csv"), table).unwrap();
    let refused = run(&app, &folder, "import p.csv --sale drop --currency eur");
    assert!(refused.0 == 1 && refused.2.contains("column 6 (colour) is not known"), "{refused:?}");
    let (status, printed, stderr) = run(&app, &folder, "import p.csv --sale drop --currency eur --map name=name");
    assert_eq!((status, stderr.as_str()), (0, ""), "{printed}");
    assert!(printed.ends_with("\nleft out: colour\n"), "{printed}");
    assert_eq!(product(&app, 1, &["sale", "currency"]).await, json!(["drop", "EUR"]));
    assert_eq!(product(&app, 2, &["sale", "currency"]).await, json!(["other", "EUR"]));
}
