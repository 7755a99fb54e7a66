//! Events of Stripe in which anything stands anywhere.

use proptest::{prelude::*, sample::select};

use super::*;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,300}".prop_map(Value::from),
        select(vec!["paid", "unpaid", "failed", "won", "usd", "order_p1_x", "hold_p1_x", "pi_1"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map("id|metadata|order_id|amount", inner, 0..3)
                .prop_map(|map| Value::from(map.into_iter().collect::<serde_json::Map<_, _>>())),
        ]
    })
}

fn object() -> impl Strategy<Value = Value> {
    let objects = vec![old_intent(), new_intent(), old_charge(), refund("pending"), dispute("won"), session("paid")];
    let names = prop::collection::vec((any::<prop::sample::Index>(), value()), 0..4);
    (select(objects), names).prop_map(|(mut object, changes)| {
        let names: Vec<String> = object.as_object().unwrap().keys().cloned().collect();
        for (name, value) in changes {
            object[&names[name.index(names.len())]] = value;
        }
        object
    })
}

proptest! {
    #[test]
    fn no_event_with_an_id_and_a_type_is_refused(
        kind in select(table::TABLE.iter().flat_map(|(_, kinds)| *kinds).copied().collect::<Vec<_>>()),
        object in prop_oneof![9 => object(), 1 => value()],
        created in value(),
    ) {
        let body = json!({"id": "evt_1", "type": kind, "created": created, "data": {"object": object}});
        let event = match read(body.to_string().as_bytes()) {
            Ok(Reading::Event(event)) => event,
            Ok(Reading::Irrelevant) => return Ok(()),
            other => panic!("{other:?}"),
        };
        prop_assert!(event.payment.is_some());
        prop_assert_eq!(event.amount.known().is_some(), event.currency.is_some());
        prop_assert!(!event.status.is_about_money() || event.amount != StatedAmount::NotGiven);
    }
}
