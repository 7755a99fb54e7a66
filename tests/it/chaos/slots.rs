//! Moves the slot of a sale to another server of a cluster.

use std::{thread::sleep, time::Duration};

use super::stage::wait;
use crate::support::cluster::{Cluster, run};

/// As Valkey does it, at once; or key by key, as `redis-cli --cluster reshard` does it.
pub fn move_slot(cluster: &Cluster, sale: &str, from: usize, to: usize, is_valkey: bool) {
    let key = format!("fs1:{{{sale}}}:sale");
    let slot: u16 = redis::cmd("CLUSTER").arg("KEYSLOT").arg(&key).query(&mut cluster.connect(from)).unwrap();
    let (from_id, to_id) = (cluster.id(from), cluster.id(to));
    if is_valkey {
        let moving = format!("CLUSTER MIGRATESLOTS SLOTSRANGE {slot} {slot} NODE {to_id}");
        run(&mut cluster.connect(from), &moving);
        return wait("the slot has moved", || cluster.owner(&key) == to);
    }
    run(&mut cluster.connect(to), &format!("CLUSTER SETSLOT {slot} IMPORTING {from_id}"));
    run(&mut cluster.connect(from), &format!("CLUSTER SETSLOT {slot} MIGRATING {to_id}"));
    let port = cluster.servers[to].port;
    loop {
        let mut connection = cluster.connect(from);
        let keys: Vec<String> =
            redis::cmd("CLUSTER").arg("GETKEYSINSLOT").arg(slot).arg(10).query(&mut connection).unwrap();
        if keys.is_empty() {
            break;
        }
        let mut migrate = redis::cmd("MIGRATE");
        migrate.arg("127.0.0.1").arg(port).arg("").arg(0).arg(5_000).arg("KEYS").arg(&keys);
        // A key that lapsed meanwhile is none.
        migrate.query::<redis::Value>(&mut connection).unwrap();
        sleep(Duration::from_millis(2));
    }
    for number in [to, from] {
        run(&mut cluster.connect(number), &format!("CLUSTER SETSLOT {slot} NODE {to_id}"));
    }
    wait("the slot has moved", || cluster.owner(&key) == to);
}
