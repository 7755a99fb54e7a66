//! An older snapshot under a running service, and after its restart.

use super::{Service, redis, restored, snapshot};
use crate::support::eventually;

#[tokio::test]
async fn a_service_goes_on_with_an_older_snapshot_of_its_own_and_keeps_money_for_what_is_gone() {
    let redis = redis();
    let service = Service::on(&redis);
    service.add(1, None).await;
    let known = service.ordered(1).await;
    let hour_ago = snapshot(&redis);
    let forgotten = service.ordered(1).await;
    service.add(2, Some("later")).await;
    let of_later_sale = service.ordered(2).await;
    let redis = restored(redis, &hour_ago);
    eventually("it is ready again", async || service.get("/readyz").await.status == 200).await;
    for order in [&forgotten, &of_later_sale] {
        assert_eq!(service.get(&format!("/api/orders/{order}")).await.refusal(), (404, "order_not_found"));
    }
    let payments = [(&known, "pi_known"), (&forgotten, "pi_forgotten"), (&of_later_sale, "pi_later")];
    let settled = [["applied", "refund_required", "unmatched"], ["duplicate"; 3]];
    for (service, settled) in [&*service, &*Service::on(&redis)].into_iter().zip(settled) {
        assert_eq!(service.hold(2).await.refusal(), (404, "product_not_found"));
        for ((order, payment), outcome) in payments.iter().zip(settled) {
            let answer = service.pay(order, payment).await;
            assert_eq!((answer.status, &answer.body["outcome"]), (200, &outcome.into()), "{payment}");
        }
        let mut reviews = service.reviews().await;
        reviews.sort();
        let expected = [("pi_forgotten", "hold_expired"), ("pi_later", "unmatched")];
        assert_eq!(reviews, expected.map(|(payment, reason)| (payment.to_owned(), reason.to_owned())));
    }
    assert_eq!(service.get("/api/admin/audit").await.body["ok"], true);
}
