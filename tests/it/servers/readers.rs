//! Readers of events on a cluster, where each log is a command of its own.

use std::time::Instant;

use futures_util::future::join_all;
use redis::InfoDict;
use serde_json::json;

use super::shop::Shop;
use crate::support::{
    app::{ADMIN_TOKEN, Answer},
    cluster::Cluster,
    contract::Ask,
};

const SALES: u64 = 12;
const ROUNDS: u64 = 8;

fn reads(cluster: &Cluster) -> u64 {
    let reads_at = |n| {
        let stats: InfoDict = redis::cmd("INFO").arg("commandstats").query(&mut cluster.connect(n)).unwrap();
        let line: String = stats.get("cmdstat_xread").unwrap_or_default();
        line.split(',').next().and_then(|calls| calls.strip_prefix("calls=")?.parse().ok()).unwrap_or(0)
    };
    (0..2).map(reads_at).sum::<u64>()
}

async fn page(shop: &Shop, query: &str) -> Answer {
    let request = reqwest::Client::new().get(format!("http://{}/api/admin/events{query}", shop.addr));
    let answer = Answer::read(request.bearer_auth(ADMIN_TOKEN).ask().await.unwrap()).await;
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    answer
}

fn next(page: &Answer) -> String {
    page.body["next_cursor"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn readers_on_a_cluster_read_only_the_logs_in_which_something_happened() {
    let cluster = Cluster::start(2, 0);
    let shop = Shop::open(&cluster.url(), &[("HTTP__WORKERS", "1")]);
    let sales: Vec<_> = (1..=SALES).map(|n| format!("drop-{n}")).collect();
    shop.offer(&sales, 100).await;
    let latest = next(&page(&shop, "?after=latest").await);
    let mut cursor = next(&page(&shop, &format!("?wait=1&after={latest}")).await);
    for readers in [1, 30] {
        let (before, began) = (reads(&cluster), Instant::now());
        for product in 1..=ROUNDS {
            let query = format!("?wait=30&after={cursor}");
            let read = join_all((0..readers).map(|_| page(&shop, &query)));
            let (pages, order) = tokio::join!(read, shop.order(product));
            assert!(pages.iter().all(|page| page.body == pages[0].body), "{pages:?}");
            assert_eq!(pages[0].body["data"][0]["order"]["id"], json!(order));
            cursor = next(&pages[0]);
        }
        let read = reads(&cluster) - before;
        // A look reads the log of each sale, and of unmatched events.
        let looks = u64::try_from(began.elapsed().as_millis() / 200).unwrap() + 2;
        let bound = looks * (SALES + 1) + ROUNDS;
        assert!(read <= bound, "{read} reads, not {bound}, for {readers} readers");
    }
}
