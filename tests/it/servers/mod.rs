//! More than one Redis: clusters, and primaries that Sentinel names.

mod cluster;
pub mod doctor;
mod emptied;
mod faults;
mod readers;
pub mod reshard;
mod rights;
mod sentinel;
pub mod shop;
mod spread;
mod spread_lost;
mod tls;

use crate::{
    support::cluster::{Cluster, Sentinels},
    topology::refusal_with,
};

#[test]
fn a_url_of_the_wrong_kind_says_what_to_write_instead() {
    let cluster = Cluster::start(1, 0);
    let sentinels = Sentinels::start(0, 1, &[], None);
    let (node, sentinel) = (cluster.servers[0].port, sentinels.sentinels[0].port);
    let plain = sentinels.servers[0].port;
    let at = |port: u16| format!("127.0.0.1:{port}");
    for (url, said) in [
        (format!("redis://{}", at(node)), format!("redis-cluster://{}", at(node))),
        (format!("redis://{}", at(sentinel)), format!("redis+sentinel://{}/drop", at(sentinel))),
        (format!("redis-cluster://{}", at(sentinel)), format!("redis+sentinel://{}/drop", at(sentinel))),
        (format!("redis-cluster://{}", at(plain)), format!("redis://{}", at(plain))),
        (format!("redis+sentinel://{}/drop", at(node)), format!("redis-cluster://{}", at(node))),
        (format!("redis+sentinel://{}/drop", at(plain)), "26379".to_owned()),
        (format!("redis+sentinel://{}/mymaster", at(sentinel)), "it watches drop".to_owned()),
    ] {
        let refused = refusal_with(&url, &[]);
        assert!(refused.contains(&said), "{url}: {refused}");
    }
}
