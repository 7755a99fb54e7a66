//! Clusters and sentinels over TLS: the service knows their servers by name, and trusts the authority of `SSL_CERT_FILE` alone.

use std::{net::SocketAddr, path::Path};

use serde_json::json;

use super::shop::{QUICK, Shop};
use crate::{
    support::{
        app::ADMIN_TOKEN,
        cluster::{Cluster, Sentinels, info, run},
        eventually,
        process::{ServiceProcess, command},
        redis::{ServerProcess, free_port},
        tls::Certificates,
    },
    topology::refusal_with,
};

#[tokio::test]
async fn a_cluster_is_used_over_tls_and_its_servers_are_known_by_name() {
    let Some(certificates) = certificates() else { return };
    let cluster = Cluster::start_over_tls(3, 1, &certificates);
    let url = cluster.url_over_tls();
    let shop = open(&url, &certificates);
    buy(&shop).await;
    // The server of the demo's sale hands over to its replica.
    let owner = cluster.owner("fs1:{p1}:stock");
    let replica = (owner + 3) % 6;
    run(&mut cluster.connect(replica), "CLUSTER FAILOVER");
    let port = cluster.servers[replica].port;
    eventually("it took over", async || info(port, "replication", "role") == "master").await;
    buy(&shop).await;
    shop.audit().await;
    examine(&url, &certificates, "3 primaries");
    is_refused_with_another_authority(&url);
}

#[tokio::test]
async fn sentinels_and_their_servers_are_used_over_tls() {
    let Some(certificates) = certificates() else { return };
    let (sentinels, url) = Sentinels::start_over_tls(1, 3, &certificates);
    let shop = open(&url, &certificates);
    buy(&shop).await;
    let before = sentinels.primary();
    sentinels.fail_over();
    // Until then the doctor says that they do not agree.
    eventually("all name another", async || sentinels.primaries().iter().all(|primary| *primary != before)).await;
    buy(&shop).await;
    shop.audit().await;
    examine(&url, &certificates, "all name localhost:");
    is_refused_with_another_authority(&url);
}

fn certificates() -> Option<Certificates> {
    if ServerProcess::knows_tls() {
        return Some(Certificates::make());
    }
    crate::support::left_out("the server on this machine was built without TLS");
    None
}

/// A process of its own, because the authority is a matter of the environment.
fn open(url: &str, certificates: &Certificates) -> Shop {
    let mut service = command(Path::new("unused"));
    service.envs(QUICK.map(|(name, value)| (format!("FLASHSALE_{name}"), value)));
    service.env("FLASHSALE_REDIS__URL", url).env("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN);
    service.env("SSL_CERT_FILE", certificates.authority());
    Shop::of(ServiceProcess::run(service, SocketAddr::from(([127, 0, 0, 1], free_port()))))
}

/// One unit, as soon as there is a server for it. A fail-over may lose what the old one took last.
async fn buy(shop: &Shop) {
    let mut bought = None;
    eventually("a unit is bought", async || {
        bought = try_to_buy(shop).await;
        bought.is_some()
    })
    .await;
    let found = shop.get(&format!("/api/orders/{}", bought.unwrap())).await;
    assert_eq!((found.status, &found.body["status"]), (200, &json!("paid")), "{found:?}");
}

/// The order, if it was paid.
async fn try_to_buy(shop: &Shop) -> Option<String> {
    let hold = shop.hold(1).await;
    let order = shop.post("/api/orders", json!({"hold_id": (hold.status == 201).then(|| hold.id())?})).await;
    let id = (order.status == 201).then(|| order.id())?;
    let event = json!({"idempotency_key": id, "payload": {"status": "paid", "order_id": id, "payment_id": id}});
    let paid = shop.post("/api/payments/webhook", event).await;
    (paid.body["outcome"] == "applied").then_some(id)
}

fn examine(url: &str, certificates: &Certificates, word: &str) {
    let mut doctor = command(Path::new("/nonexistent/data"));
    doctor.env("FLASHSALE_REDIS__URL", url).env("SSL_CERT_FILE", certificates.authority());
    let output = doctor.arg("doctor").output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && printed.contains(word), "{printed}");
}

fn is_refused_with_another_authority(url: &str) {
    let other = Certificates::make();
    let refused = refusal_with(url, &[("SSL_CERT_FILE", &other.authority())]);
    assert!(refused.contains("certificate") && refused.contains("SSL_CERT_FILE"), "{refused}");
}
