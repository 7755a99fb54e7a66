//! POST /api/admin/import.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, Answer, TestApp},
    eventually,
    redis::signal_process,
};

const PATH: &str = "/api/admin/import";
const CSV: &str = "text/csv";
const NDJSON: &str = "application/x-ndjson";

async fn import(app: &TestApp, media_type: &str, body: impl Into<Vec<u8>>) -> Answer {
    let request = app.request(Method::POST, PATH).bearer_auth(ADMIN_TOKEN).header("content-type", media_type);
    app.send(request.body(body.into())).await
}

/// The status of each row and, where it failed, its code and the pointers of its errors: `failed validation_failed /price`.
fn results(answer: &Answer) -> Vec<String> {
    let rows = answer.body["rows"].as_array().unwrap_or_else(|| panic!("no rows in {answer:?}"));
    let result = |(number, row): (u64, &Value)| {
        assert_eq!(row["row"], number, "{answer:?}");
        let errors = row["errors"].as_array().into_iter().flatten().map(|error| &error["pointer"]);
        let words = [&row["status"], &row["code"]].into_iter().chain(errors);
        words.filter_map(Value::as_str).collect::<Vec<_>>().join(" ").trim().to_owned()
    };
    (1..).zip(rows).map(result).collect()
}

fn counts(answer: &Answer) -> (u16, u64, u64) {
    let count = |name: &str| answer.body[name].as_u64().unwrap_or_else(|| panic!("no {name} in {answer:?}"));
    (answer.status, count("created"), count("failed"))
}

async fn product(app: &TestApp, id: u64) -> Value {
    app.get(&format!("/api/products/{id}")).await.body
}

#[tokio::test]
async fn a_field_or_a_column_in_other_letters_is_taken_or_named_with_its_right_spelling() {
    let app = TestApp::start();
    let line = r#"{"SKU":"AIR-1","name":"A","price":"1.00","totalStock":1}"#;
    let answer = import(&app, NDJSON, line).await.body.to_string();
    for word in ["SKU is not known here: write sku; known are ", "totalStock is not known here: write total_stock"] {
        assert!(answer.contains(word), "{answer}");
    }
    let table = import(&app, CSV, "SKU,Name,Price,Total Stock\nAIR-1,A,1.00,1\n").await;
    assert_eq!(counts(&table), (200, 1, 0), "{table:?}");
    assert_eq!(product(&app, 1).await["sku"], "AIR-1");
}

#[tokio::test]
async fn a_table_of_products_is_imported_whatever_the_order_of_its_columns() {
    let app = TestApp::start();
    let file = "\u{feff}name,total_stock,price,id,sale,currency,max_per_hold,max_per_customer\r\n\
        \"Boots, \"\"red\"\"\",10,19.99,7,drop,EUR,2,4\r\n\
        \r\n\
        12, 5 ,3,8,drop,EUR,,\r\n";
    let answer = import(&app, "text/csv; charset=utf-8", file).await;
    assert_eq!(counts(&answer), (200, 2, 0), "{answer:?}");
    let new_sale = json!({"id": "drop", "status": "live"});
    assert_eq!(answer.body["rows"][0], json!({"row": 1, "status": "created", "id": 7, "new_sale": new_sale}));
    assert_eq!(answer.body["rows"][1], json!({"row": 2, "status": "created", "id": 8}));
    let boots = product(&app, 7).await;
    for (field, value) in [
        ("name", json!("Boots, \"red\"")),
        ("sale", json!("drop")),
        ("price", json!("19.99")),
        ("currency", json!("EUR")),
        ("available_stock", json!(10)),
        ("max_per_hold", json!(2)),
        ("max_per_customer", json!(4)),
    ] {
        assert_eq!(boots[field], value, "{field}");
    }
    let other = product(&app, 8).await;
    assert_eq!(
        (&other["name"], &other["max_per_hold"], &other["max_per_customer"]),
        (&json!("12"), &json!(10), &json!(null))
    );
}

#[tokio::test]
async fn lines_of_json_are_imported_as_the_bodies_that_they_are() {
    let app = TestApp::start();
    let file = "\u{feff}{\"id\":3,\"name\":\"Item\",\"price\":\"1.00\",\"total_stock\":1}\r\n\n\
        {\"name\":\"Other\",\"price\":\"2.00\",\"total_stock\":2,\"sale\":\"drop\",\"max_per_customer\":null}";
    for (media_type, created) in [("application/jsonl", 2), (NDJSON, 1)] {
        let answer = import(&app, media_type, file).await;
        assert_eq!(counts(&answer), (200, created, 2 - created), "{answer:?}");
    }
    assert_eq!(product(&app, 3).await["name"], "Item");
    assert_eq!(product(&app, 2).await["sale"], "drop", "the next free ids");
    assert_eq!(product(&app, 4).await["sale"], "drop");
}

#[tokio::test]
async fn a_bad_row_says_what_is_wrong_and_stops_no_other() {
    let app = TestApp::start();
    let file = b"id,sale,name,price,currency,total_stock\n\
        1,drop,Item,1.00,USD,1\n\
        2,drop,,1.001,USD,many\n\
        3,drop,Item,1.00,EUR,1\n\
        1,drop,Item,1.00,USD,1\n\
        1,elsewhere,Item,1.00,USD,1\n\
        4,drop,Item,1.00\n\
        5,drop,a\x07b,1.00,USD,1\n\
        6,drop,\xff\xfe,1.00,USD,1\n\
        99999999999999999999999,drop,Item,1.00,USD,+1\n\
        7,drop,Item,1.00,USD,1,1\n\
        8,drop,\"\nItem\n\",1.00,USD,1\n";
    let answer = import(&app, CSV, *file).await;
    assert_eq!(counts(&answer), (200, 2, 9));
    assert_eq!(
        results(&answer),
        [
            "created",
            "failed validation_failed /name /price /total_stock",
            "failed validation_failed /currency",
            "failed already_exists",
            "failed already_exists",
            "failed validation_failed /total_stock",
            "failed validation_failed /name",
            "failed validation_failed /name",
            "failed validation_failed /id /total_stock",
            "failed validation_failed",
            "created",
        ]
    );
    assert_eq!(answer.body["rows"][9]["errors"][0]["code"], "wrong_number_of_cells");
    assert_eq!(product(&app, 8).await["name"], "Item");
    assert_eq!(app.get("/api/products").await.body["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_bad_line_says_what_is_wrong_and_stops_no_other() {
    let app = TestApp::start();
    let long = format!("{{\"name\":\"{}\"}}", "x".repeat(20_000));
    let lines: [&[u8]; 8] = [
        b"{\"name\":\"Item\",\"price\":\"1.00\",\"total_stock\":1}",
        b"{\"name\":\"Item\",\"price\":\"1.00\",\"total_stock\":1,\"colour\":\"red\"}",
        b"{\"name\":\"Item\"",
        b"[1]",
        b"\xff\xfe",
        long.as_bytes(),
        b"{\"price\":1,\"total_stock\":\"1\"}",
        b"{\"name\":\"Item\",\"price\":\"1.00\",\"total_stock\":1}",
    ];
    let answer = import(&app, NDJSON, lines.join(&b'\n')).await;
    assert_eq!(counts(&answer), (200, 2, 6));
    assert_eq!(
        results(&answer),
        [
            "created",
            "failed unknown_field /colour",
            "failed malformed_json",
            "failed validation_failed",
            "failed malformed_json",
            "failed validation_failed",
            "failed validation_failed /name /price /total_stock",
            "created",
        ]
    );
    assert!(!answer.body.to_string().contains("\"red\""), "no value that was sent is repeated");
}

#[tokio::test]
async fn what_is_wrong_with_the_file_as_a_whole_is_said_once_and_changes_nothing() {
    let app = TestApp::start();
    for (file, code, errors) in [
        (
            "name,price,total_stock,colour,size\nItem,1,1,red,7\n",
            "unknown_field",
            vec![("/columns/4", "column 4 is not known; known are id, "), ("/columns/5", "column 5 is not known")],
        ),
        ("name,price,total_stock,name\nItem,1,1,Item\n", "validation_failed", vec![("/name", "two columns")]),
        ("PK\u{3}\u{4}", "validation_failed", vec![("", "this is a workbook")]),
        (",,\n", "validation_failed", vec![("", "the file is empty")]),
        ("name\nItem\n", "validation_failed", vec![("/price", "first row"), ("/total_stock", "")]),
        ("", "validation_failed", vec![("", "the file is empty")]),
        ("\n\r\n", "validation_failed", vec![("", "the file is empty")]),
    ] {
        let answer = import(&app, CSV, file).await;
        assert_eq!(answer.refusal(), (422, code), "{answer:?}");
        let found = answer.body["errors"].as_array().unwrap();
        assert_eq!(found.len(), errors.len(), "{answer:?}");
        for (found, (pointer, words)) in found.iter().zip(errors) {
            assert!(found["pointer"] == pointer && found["detail"].as_str().unwrap().contains(words), "{answer:?}");
        }
        assert!(!answer.body.to_string().contains("colour"));
    }
    let utf16 = import(&app, NDJSON, *b"\xff\xfen\0a\0m\0e\0").await;
    assert_eq!((utf16.refusal().0, &utf16.body["errors"][0]["code"]), (422, &json!("invalid_format")));
    let row = "{\"name\":\"Item\",\"price\":\"1.00\",\"total_stock\":1}\n";
    let too_many = import(&app, NDJSON, row.repeat(1_001)).await;
    assert_eq!(
        (too_many.refusal(), &too_many.body["errors"][0]["code"]),
        ((422, "validation_failed"), &json!("too_many_rows"))
    );
    assert_eq!(import(&app, NDJSON, " ".repeat((4 << 20) + 1)).await.refusal(), (413, "body_too_large"));
    for media_type in ["application/json", "text/plain", "", "text/csv; charset=utf-16", "text/csv;charset=\"latin1\""]
    {
        assert_eq!(import(&app, media_type, row).await.refusal(), (415, "unsupported_media_type"), "{media_type}");
    }
    assert_eq!(app.get("/api/products").await.body["data"], json!([]));
    assert_eq!(counts(&import(&app, NDJSON, "\n\n").await), (200, 0, 0));
    assert_eq!(counts(&import(&app, CSV, "name,price,total_stock\n").await), (200, 0, 0));
}

#[tokio::test]
async fn a_parameter_is_refused_and_columns_are_known_in_any_case() {
    let app = TestApp::start();
    let request =
        app.request(Method::POST, &format!("{PATH}?x=1")).bearer_auth(ADMIN_TOKEN).header("content-type", CSV);
    assert_eq!(
        app.send(request.body("name,price,total_stock\nItem,1,1\n")).await.refusal(),
        (400, "unknown_parameter")
    );
    let answer =
        import(&app, "text/csv; header=present; Charset=\"UTF-8\"", "ID,Name,PRICE,Total_Stock\n5,Item,1,1\n").await;
    assert_eq!(counts(&answer), (200, 1, 0), "{answer:?}");
    assert_eq!(product(&app, 5).await["name"], "Item");
}

#[tokio::test]
async fn what_is_wrong_is_said_in_the_words_of_its_currency() {
    let app = TestApp::start();
    let file = "name,price,currency,total_stock\na\u{7}b,9.9999,USD,1\nItem,9.5,JPY,1\nItem,1.2345,KWD,1\n";
    let answer = import(&app, CSV, file).await;
    let details: Vec<_> =
        answer.body["rows"].as_array().unwrap().iter().map(|row| row["detail"].as_str().unwrap()).collect();
    assert_eq!(
        details,
        [
            "name must be 1 to 200 characters, none of them a control character, at least one of them visible; \
             price must be a decimal string in the decimals of USD, such as 9.99",
            "price must be a decimal string in the decimals of JPY, such as 999",
            "price must be a decimal string in the decimals of KWD, such as 9.999",
        ]
    );
}

#[tokio::test]
async fn what_is_there_is_compared_with_its_row_and_stays_as_it_is() {
    let app = TestApp::start();
    let head = "id,sale,name,price,total_stock,max_per_customer\n";
    import(&app, CSV, format!("{head}1,drop,Item,5.00,9,\n2,,Own,5.00,9,3\n")).await;
    let rows = "1,drop,Item,5,9,\n2,,Own,5.00,9,3\n1,drop,Other,6.00,9,1\n1,else,Item,5.00,8,\n1,,Item,5.00,9,\n";
    let again = import(&app, CSV, format!("{head}{rows}")).await;
    let differs: Vec<_> = again.body["rows"].as_array().unwrap().iter().map(|row| row["differs"].clone()).collect();
    let price_and_more = json!(["name", "price", "max_per_customer"]);
    assert_eq!(differs, [json!([]), json!([]), price_and_more, json!(["sale", "total_stock"]), json!(["sale"])]);
    assert!(results(&again).iter().all(|result| result == "failed already_exists"), "{again:?}");
    assert_eq!(product(&app, 1).await["price"], "5.00");
}

#[tokio::test]
async fn the_row_that_makes_a_sale_says_so() {
    let app = TestApp::start();
    app.admin(Method::POST, "/api/admin/sales", json!({"id": "there", "name": "There"})).await;
    let file = "id,sale,name,price,total_stock\n1,there,Item,1,1\n2,typo,Item,1,1\n3,typo,Item,1,1\n4,,Item,1,1\n";
    let answer = import(&app, CSV, file).await;
    let new: Vec<_> = answer.body["rows"].as_array().unwrap().iter().map(|row| row.get("new_sale").cloned()).collect();
    let live = |id: &str| Some(json!({"id": id, "status": "live"}));
    assert_eq!(new, [None, live("typo"), None, live("p4")], "{answer:?}");
}

/// Each table has the same two products, as another program writes them.
#[tokio::test]
async fn a_table_is_read_as_spreadsheets_write_it() {
    let utf16 =
        |text: &str| [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let tables = [
        b"sep=;\r\nid;sale;name;price;currency;total_stock\r\n\
            307;drop;Hat;12,50;eur;20\r\n308;drop;K\xc3\xbcche;9;EUR;5\r\n"
            .to_vec(),
        b"id;sale;name;price;currency;total_stock\n\
            '307;drop;Hat;12,5;EUR;20,0\n308;drop;K\xc3\xbcche;9,00;EUR;5\n;;;;;\n;;;;;\n"
            .to_vec(),
        utf16(
            "id\tsale\tname\tprice\tcurrency\ttotal_stock\r\n\
            307\tdrop\tHat\t12.50\tEUR\t20\r\n308\tdrop\tKüche\t9\tEUR\t5\r\n",
        ),
        // pandas: an index, and decimals in whole columns that have empty cells.
        b",id,sale,name,price,currency,total_stock,max_per_hold\n\
            0,307.0,drop,Hat,12.5,EUR,20.0,\n1,308.0,drop,K\xc3\xbcche,9.0,EUR,5.0,2.0\n"
            .to_vec(),
        // Excel on a Mac: CR alone. A stray last column, and empty cells left out.
        b"ID,Sale,Name,Price,Currency,Total Stock,,\r\
            307,drop,\"Hat\",12.50,EUR,20\r308,drop,\"K\xc3\xbcche\r\",9,EUR,5,,,\r,,,,,,,\r"
            .to_vec(),
    ];
    for table in tables {
        let app = TestApp::start();
        let answer = import(&app, CSV, table.clone()).await;
        let shown = String::from_utf8_lossy(&table);
        assert_eq!(counts(&answer), (200, 2, 0), "{shown}: {answer:?}");
        let (hat, other) = (product(&app, 307).await, product(&app, 308).await);
        assert_eq!(
            (&hat["price"], &hat["total_stock"], &hat["currency"]),
            (&json!("12.50"), &json!(20), &json!("EUR"))
        );
        assert_eq!((&other["name"], &other["price"]), (&json!("Küche"), &json!("9.00")), "{shown}");
    }
}

#[tokio::test]
async fn a_cell_that_could_mean_two_things_is_refused_with_how_to_write_it() {
    let app = TestApp::start();
    let file = "name;price;total_stock;id\n\
        Hat;1.000;5;1\nHat;1.234,50;5;2\nHat;€ 9;5;3\nHat;9;-3;4\nHat;9;1.000;5\nHat;9;5;4,5E+12\n=1+1;9;5;7\n\
        '=1+1;9;5;8\n'47 Brand;9;5;9\n";
    let answer = import(&app, CSV, file).await;
    let expected = ["/price", "/price", "/price", "/total_stock", "/total_stock", "/id"];
    let expected = expected.map(|pointer| format!("failed validation_failed {pointer}"));
    let results = results(&answer);
    assert_eq!(results[..6], expected, "{answer:?}");
    assert_eq!(results[6..], ["created"; 3], "{answer:?}");
    for (row, words) in [(0, "thousands"), (2, "currency sign"), (3, "total_stock is negative"), (5, "rounded")] {
        assert!(answer.body["rows"][row]["detail"].as_str().unwrap().contains(words), "{answer:?}");
    }
    let names =
        [product(&app, 7).await, product(&app, 8).await, product(&app, 9).await].map(|product| product["name"].clone());
    assert_eq!(names, ["=1+1", "=1+1", "'47 Brand"]);
}

async fn import_with(app: &TestApp, query: &str, body: &str) -> Answer {
    let request =
        app.request(Method::POST, &format!("{PATH}?{query}")).bearer_auth(ADMIN_TOKEN).header("content-type", CSV);
    app.send(request.body(body.to_owned())).await
}

#[tokio::test]
async fn an_update_changes_name_price_and_limits_and_never_units_sale_or_currency() {
    let app = TestApp::start();
    let head = "id,sale,name,price,currency,total_stock,max_per_hold,max_per_customer\n";
    let first =
        "1,drop,Item,5.00,USD,9,3,4\n2,drop,Item,5.00,USD,9,3,\n3,drop,Item,5.00,USD,9,,\n4,drop,Item,5.00,USD,9,,\n";
    assert_eq!(counts(&import(&app, CSV, format!("{head}{first}")).await), (200, 4, 0));
    let rows = "1,drop,Other,6.00,USD,11,2,\n2,drop,Item,5.00,USD,9,,5\n\
        3,else,Other,5.00,USD,9,,\n4,drop,Item,5.00,USD,10,,\n5,drop,New,1,USD,1,,\n";
    let file = format!("{head}{rows}");
    let rehearsed = import_with(&app, "update=true&dry_run=true", &file).await;
    let would = (&rehearsed.body["would_create"], &rehearsed.body["would_change"], &rehearsed.body["created"]);
    assert_eq!(would, (&json!(1), &json!(2), &json!(0)), "{rehearsed:?}");
    assert_eq!(product(&app, 1).await["name"], "Item", "a dry run changes nothing");
    let answer = import_with(&app, "update=true", &file).await;
    let changed = ["name", "price", "max_per_hold"];
    let row = json!({"row": 1, "status": "changed", "id": 1, "changed": changed, "differs": ["total_stock"]});
    assert_eq!(answer.body["rows"][0], row);
    assert_eq!(answer.body["rows"][1]["changed"], json!(["max_per_customer"]));
    assert_eq!((&answer.body["changed"], counts(&answer)), (&json!(2), (200, 1, 2)));
    assert_eq!(answer.body["rows"][2]["differs"], json!(["sale", "name"]), "another sale is another product");
    assert_eq!(answer.body["rows"][3]["differs"], json!(["total_stock"]));
    let one = product(&app, 1).await;
    let found = ["name", "price", "max_per_hold", "max_per_customer", "total_stock"].map(|field| one[field].clone());
    assert_eq!(found, [json!("Other"), json!("6.00"), json!(2), json!(4), json!(9)], "an empty cell changes nothing");
    assert_eq!(product(&app, 3).await["name"], "Item");
    let without_id = import_with(&app, "update=true", "name,price,total_stock\nItem,1,1\n").await;
    assert_eq!(results(&without_id), ["failed validation_failed /id"], "it would be made once more");
    let again = import_with(&app, "update=true", &file).await;
    assert_eq!((&again.body["changed"], again.body["rows"][0]["differs"].clone()), (&json!(0), json!(["total_stock"])));
}

#[tokio::test]
async fn a_dry_run_finds_what_the_import_would_refuse_and_makes_nothing() {
    let app = TestApp::start();
    import(&app, CSV, "id,sale,name,price,currency,total_stock\n1,drop,Item,5.00,EUR,9\n").await;
    let file = "id,sale,name,price,currency,total_stock\n\
        1,drop,Item,5.00,EUR,9\n2,new,Item,1,USD,1\n2,new,Item,1,USD,1\n3,new,Item,1,EUR,1\n\
        4,drop,Item,1,USD,1\n,,Item,1,,1\n5,drop,Item,free,EUR,1\n";
    let rehearsed = import_with(&app, "dry_run=true", file).await;
    assert_eq!(
        results(&rehearsed),
        [
            "failed already_exists",
            "would_create",
            "failed already_exists",
            "failed validation_failed /currency",
            "failed validation_failed /currency",
            "would_create",
            "failed validation_failed /price",
        ]
    );
    assert_eq!(rehearsed.body["rows"][1]["new_sale"], json!({"id": "new", "status": "live"}));
    assert_eq!(app.get("/api/products").await.body["data"].as_array().unwrap().len(), 1);
    let done = import_with(&app, "dry_run=false", file).await;
    assert_eq!(
        results(&done).iter().map(|result| result.replace("created", "would_create")).collect::<Vec<_>>(),
        results(&rehearsed)
    );
    assert_eq!(import_with(&app, "dry_run=perhaps", file).await.refusal(), (422, "validation_failed"));
}

#[tokio::test]
async fn a_thousand_rows_are_imported_in_one_call_in_their_order() {
    let app = TestApp::start();
    let rows: String = (0..1_000).map(|number| format!("drop,Item {number},1.00,{number}\n")).collect();
    let answer = import(&app, CSV, format!("sale,name,price,total_stock\n{rows}")).await;
    assert_eq!(counts(&answer), (200, 1_000, 0));
    assert_eq!(answer.body["rows"][999]["id"], 1_000);
    assert_eq!(product(&app, 1_000).await["name"], "Item 999");
}

#[tokio::test]
async fn who_may_only_look_imports_nothing() {
    let app = TestApp::start_with(&[("ADMIN__READ_TOKENS", "a-token-that-may-look")]);
    let send = async |token: &str| {
        let request = app.request(Method::POST, PATH).bearer_auth(token).header("content-type", CSV);
        app.send(request.body("name,price,total_stock\nItem,1,1\n")).await
    };
    assert_eq!(send("a-token-that-may-look").await.refusal(), (403, "forbidden"));
    assert_eq!(send("another").await.refusal(), (401, "unauthorized"));
    let get = app.send(app.request(Method::GET, PATH).bearer_auth(ADMIN_TOKEN)).await;
    assert_eq!((get.refusal(), get.headers["allow"].as_str()), ((405, "method_not_allowed"), "POST, OPTIONS"));
    assert_eq!(app.get("/api/products").await.body["data"], json!([]));
}

/// Once the first products are there, Redis answers no more.
#[tokio::test]
async fn when_redis_goes_it_is_said_what_was_done_and_the_same_file_can_be_sent_again() {
    let app = TestApp::start_with(&[("REDIS__CALL_TIMEOUT_MS", "400"), ("HTTP__WORKERS", "1")]);
    let rows: String =
        (1..=1_000).map(|id| format!("{id},drop,Item,{},1\n", if id == 999 { "" } else { "1" })).collect();
    let file = format!("id,sale,name,price,total_stock\n{rows}");
    let mut redis = app.redis.connect();
    let pid = app.redis.pid();
    let stop = async {
        eventually("some products are there", async || {
            redis::cmd("HLEN").arg("fs1:{:all}:products").query::<u64>(&mut redis).unwrap() > 5
        })
        .await;
        signal_process(pid, "STOP");
    };
    let (answer, ()) = tokio::join!(import(&app, CSV, file.clone()), stop);
    signal_process(pid, "CONT");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.headers["retry-after"], "1");
    let results = results(&answer);
    let done = results.iter().take_while(|result| *result == "created").count();
    let code = answer.body["code"].as_str().unwrap();
    assert!(done > 0 && ["store_timeout", "store_unavailable"].contains(&code), "{answer:?}");
    assert_eq!(results[done], format!("failed {code}"));
    assert!(results[done + 1..998].iter().all(|result| result == "not_tried"), "{results:?}");
    assert_eq!(results[998], "failed validation_failed /price", "what is wrong is said all the same");
    assert_eq!((counts(&answer), answer.body["not_tried"].as_u64()), ((503, done as u64, 2), Some(998 - done as u64)));
    let again = import(&app, CSV, file).await;
    let exist = again.body["rows"].as_array().unwrap().iter().filter(|row| row["code"] == "already_exists").count();
    assert!([done, done + 1].contains(&exist), "{exist} and not {done} exist already");
    assert_eq!(counts(&again), (200, 999 - exist as u64, exist as u64 + 1));
}
