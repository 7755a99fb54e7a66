//! The faults, what is promised about each, and the tests that look at it.

use futures_util::future::LocalBoxFuture;

use super::{
    cluster,
    measured::Measured,
    redis_alone,
    sentinel::{self, Demand},
    service, spread,
};

pub struct Scenario {
    pub name: &'static str,
    pub fault: &'static str,
    pub happens: &'static str,
    /// Names of tests that `make test` runs.
    pub tests: &'static [&'static str],
    /// `None`: it needs something that this machine does not have.
    pub run: fn() -> LocalBoxFuture<'static, Option<Measured>>,
}

macro_rules! run {
    ($measure:expr) => {
        || Box::pin(async { Some($measure.await) })
    };
}

/// In the order of the page.
pub const SCENARIOS: [Scenario; 27] = [
    Scenario {
        name: "service_killed",
        fault: "the service is killed (SIGKILL) with its embedded Redis, and started again",
        happens: "Connections break. A buyer who asks again with the same key gets the same hold. Nothing that was answered is lost.",
        tests: &["a_service_that_is_killed_among_105_buyers_still_sells_exactly_100"],
        run: run!(service::killed()),
    },
    Scenario {
        name: "service_rolling",
        fault: "rolling restart of two services behind nginx",
        happens: "`/readyz` says `draining`, each answer ends its connection, waiting readers get theirs, nobody new may connect, exit \
                  with 0. No request is lost with [these settings](docs/operations.md#in-front-of-it).",
        tests: &[
            "two_services_behind_nginx_are_restarted_in_turn_and_no_request_is_lost",
            "whoever_has_connected_before_the_port_is_closed_is_answered",
        ],
        run: || Box::pin(service::rolling_restart()),
    },
    Scenario {
        name: "redis_killed_everysec",
        fault: "Redis is killed and started again after 1 s, `appendfsync everysec`",
        happens: "503 with `Retry-After` meanwhile; the service goes on by itself. A process that dies loses nothing that it has written. \
                  A *machine* that dies can lose about two seconds: that is not promised, and was not tried.",
        tests: &["a_redis_that_is_gone_gets_a_503_and_all_is_well_when_it_is_back"],
        run: run!(redis_alone::killed("everysec")),
    },
    Scenario {
        name: "redis_killed_always",
        fault: "the same, `appendfsync always`",
        happens: "The same. What was answered is on the disk, so a machine that dies loses nothing either.",
        tests: &["a_connection_that_died_while_nobody_used_it_is_replaced_without_an_error"],
        run: run!(redis_alone::killed("always")),
    },
    Scenario {
        name: "redis_stopped",
        fault: "Redis stands still for 2 s under 32 buyers who ask once, without a key",
        happens: "503 with `Retry-After`. Redis refuses what it gets too late; what it had already taken is released again.",
        tests: &["a_redis_that_stood_still_for_two_seconds_holds_nothing_for_buyers_who_have_left"],
        run: run!(redis_alone::stopped_for_two_seconds()),
    },
    Scenario {
        name: "redis_hung",
        fault: "Redis hangs for 6 s (SIGSTOP)",
        happens: "A few callers wait for their timeout, then a breaker answers 503 at once, and one call in a while tries.",
        tests: &["a_redis_that_hangs_costs_a_few_callers_their_time_and_then_nobody_until_it_is_back"],
        run: run!(redis_alone::hung()),
    },
    Scenario {
        name: "redis_connections",
        fault: "all connections to Redis are cut",
        happens: "They are made again. A call is sent once more where that does no harm, else it is a 503.",
        tests: &["connections_that_redis_closes_are_made_again_without_a_lost_hold"],
        run: run!(redis_alone::connections_cut()),
    },
    Scenario {
        name: "redis_replies",
        fault: "the reply to a hold is lost after Redis decided it",
        happens: "The connection breaks, and the service sends the call once more. It gave the hold its name before, so the hold is made \
                  once, whether the buyer sent a key or not.",
        tests: &["an_event_that_is_interrupted_anywhere_ends_as_if_it_had_not_been"],
        run: run!(redis_alone::replies_dropped()),
    },
    Scenario {
        name: "redis_scripts",
        fault: "`SCRIPT FLUSH`",
        happens: "Scripts are loaded again on the way. Nobody notices.",
        tests: &[
            "scripts_that_redis_forgot_are_loaded_again",
            "a_script_that_redis_forgets_as_soon_as_it_is_loaded_is_loaded_once_more",
        ],
        run: run!(redis_alone::scripts_flushed()),
    },
    Scenario {
        name: "memory_full",
        fault: "Redis has no memory left (`maxmemory`)",
        happens: "503 `store_full` for what needs memory. Releases, reads and payments go on.",
        tests: &["a_redis_that_is_full_gets_a_503_and_what_frees_units_still_works"],
        run: run!(service::memory_full()),
    },
    Scenario {
        name: "disk_full",
        fault: "Redis cannot write its append-only file for 3 s",
        happens: "Redis refuses writes, so they are 503, and the service goes on by itself once there is room. Were Redis killed while \
                  its disk is full, what it took in the last second before it noticed would be lost.",
        tests: &["a_full_disk_of_the_embedded_server_is_a_503_and_the_service_stops_in_order"],
        run: run!(service::disk_full()),
    },
    Scenario {
        name: "clock",
        fault: "the clock of Redis steps, forward and back",
        happens: "The time of a sale never runs backwards, and a step takes no hold from a buyer before its own length has passed.",
        tests: &["a_clock_of_redis_that_steps_forward_or_back_takes_no_hold_from_a_buyer_who_waits"],
        run: run!(service::clock_steps()),
    },
    Scenario {
        name: "sentinel_killed_memory",
        fault: "Sentinel: the primary is killed, `durability.payments = memory`",
        happens: "The service follows the new primary by itself. What the replica did not have yet is lost: holds, orders and \
                  payments that were answered. Nothing is promised about them.",
        tests: &["the_service_follows_a_fail_over_and_loses_no_payment_that_it_acknowledged"],
        run: run!(sentinel::fail_over(sentinel::Fault::Killed, Demand::Nothing)),
    },
    Scenario {
        name: "sentinel_killed_replicas",
        fault: "the same, `durability.payments = replicas:1`",
        happens: "No payment that was answered 200 is lost, and no unit is paid twice. Holds may be lost. Payments are 503 until there is \
                  a replica again.",
        tests: &["the_service_follows_a_fail_over_and_loses_no_payment_that_it_acknowledged"],
        run: run!(sentinel::fail_over(sentinel::Fault::Killed, Demand::Payments)),
    },
    Scenario {
        name: "sentinel_killed_everything",
        fault: "the same, and `min-replicas-to-write 1`",
        happens: "The same. The new primary takes nothing at all until there is a replica again.",
        tests: &["the_service_follows_a_fail_over_and_loses_no_payment_that_it_acknowledged"],
        run: run!(sentinel::fail_over(sentinel::Fault::Killed, Demand::Everything)),
    },
    Scenario {
        name: "sentinel_hung_memory",
        fault: "Sentinel: the primary hangs, `durability.payments = memory`",
        happens: "As killed. What the old primary takes when it wakes up is forgotten when it becomes a replica.",
        tests: &["the_service_follows_a_fail_over_and_loses_no_payment_that_it_acknowledged"],
        run: run!(sentinel::fail_over(sentinel::Fault::Hung, Demand::Nothing)),
    },
    Scenario {
        name: "sentinel_hung_replicas",
        fault: "the same, `durability.payments = replicas:1`",
        happens: "No payment that was answered 200 is lost.",
        tests: &["the_service_follows_a_fail_over_and_loses_no_payment_that_it_acknowledged"],
        run: run!(sentinel::fail_over(sentinel::Fault::Hung, Demand::Payments)),
    },
    Scenario {
        name: "sentinel_planned_memory",
        fault: "Sentinel: `SENTINEL FAILOVER`, `durability.payments = memory`",
        happens: "The old primary goes on taking holds and payments until the service asks the sentinels again (half a second). They \
                  are lost, and their units are sold again.",
        tests: &["sentinels_of_a_primary_that_takes_writes_alone_are_a_warning"],
        run: run!(sentinel::fail_over(sentinel::Fault::Planned, Demand::Nothing)),
    },
    Scenario {
        name: "sentinel_planned_everything",
        fault: "the same, `min-replicas-to-write 1` and `durability.payments = replicas:1`",
        happens: "The old primary takes nothing once its replica has left it. A hold that was on its way just then may be lost, no payment that was answered 200. The new primary takes nothing until its replica is back.",
        tests: &["a_manual_fail_over_loses_no_payment_where_all_replicas_are_demanded"],
        run: run!(sentinel::fail_over(sentinel::Fault::Planned, Demand::Everything)),
    },
    Scenario {
        name: "cluster_killed",
        fault: "Cluster: one of three primaries is killed, `durability.payments = replicas:1`",
        happens: "Its sales wait until its replica takes over, their payments until that has a replica. All others go on. No payment that \
                  was answered 200 is lost.",
        tests: &["a_primary_that_is_killed_costs_its_own_sales_a_pause_and_no_other_sale_anything"],
        run: run!(cluster::fail_over(cluster::Fault::Killed)),
    },
    Scenario {
        name: "cluster_hung",
        fault: "Cluster: one of three primaries hangs",
        happens: "The same.",
        tests: &["a_primary_that_hangs_costs_its_own_sales_a_pause_and_no_other_sale_anything"],
        run: run!(cluster::fail_over(cluster::Fault::Hung)),
    },
    Scenario {
        name: "cluster_planned",
        fault: "Cluster: `CLUSTER FAILOVER` of one of three primaries",
        happens: "Replica and primary agree on the moment, so nothing is lost, and calls follow.",
        tests: &["a_replica_that_hangs_hurts_nobody"],
        run: run!(cluster::fail_over(cluster::Fault::Planned)),
    },
    Scenario {
        name: "cluster_directory",
        fault: "Cluster: the primary with the directory is killed",
        happens: "Its sales wait as above. What needs the directory waits too: new products and sales, lists, and payments of which nobody \
                  knows the order. Holds, orders and payments of other sales go on.",
        tests: &["a_primary_that_is_killed_costs_its_own_sales_a_pause_and_no_other_sale_anything"],
        run: run!(spread::directory_killed()),
    },
    Scenario {
        name: "cluster_spread",
        fault: "Cluster: one of three primaries with a shard each of one hot product is killed",
        happens: "Holds of the other shards go on, and nobody hears that all is sold out. No payment that was answered 200 is lost.",
        tests: &["while_the_server_of_a_shard_is_away_others_buy_and_nobody_hears_that_all_is_sold_out"],
        run: run!(spread::shard_killed()),
    },
    Scenario {
        name: "cluster_emptied",
        fault: "Cluster: a primary without a replica and without a disk is started again, with nothing in it",
        happens: "Its sales are refused as `store_replaced`, and nothing of them is sold anew. Other sales go on.",
        tests: &["a_server_that_comes_back_empty_sells_nothing_anew_and_everybody_says_so"],
        run: run!(spread::emptied()),
    },
    Scenario {
        name: "reshard_keys",
        fault: "a slot that sells moves to another server, key by key (Redis 7)",
        happens: "Calls that need keys of both servers are 503 with `Retry-After`. Nothing is lost. Other sales notice nothing.",
        tests: &["a_slot_that_moves_key_by_key_makes_its_buyers_wait_and_loses_nothing"],
        run: run!(cluster::moved_key_by_key()),
    },
    Scenario {
        name: "reshard_at_once",
        fault: "the same in one step (`CLUSTER MIGRATESLOTS`, Valkey 9)",
        happens: "Nobody notices.",
        tests: &["a_slot_that_valkey_moves_at_once_makes_nobody_wait"],
        run: || Box::pin(cluster::moved_at_once()),
    },
];
