//! Events of Stripe in which anything stands anywhere.

use proptest::{prelude::*, sample::select};

use super::{super::super::anything::any_json, *};

fn object() -> impl Strategy<Value = Value> {
    let objects = vec![old_intent(), new_intent(), old_charge(), refund("pending"), dispute("won"), session("paid")];
    let names = prop::collection::vec((any::<prop::sample::Index>(), any_json()), 0..4);
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
        object in prop_oneof![9 => object(), 1 => any_json()],
        created in any_json(),
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
