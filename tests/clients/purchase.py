"""A whole purchase by the client that openapi-python-client makes of the document: purchase.py <url>"""

import sys
import time

from flashsale_client import Client, models
from flashsale_client.api.holds import create_hold
from flashsale_client.api.orders import create_order, read_order
from flashsale_client.api.payment_events import receive_payment_event
from flashsale_client.api.products import read_product

# What the demo sells: a hundred of one, and five of the other.
PRODUCT, SCARCE = 1, 2
KEY = f"python-{time.time_ns()}"


def expect(is_so, what):
    if not is_so:
        raise SystemExit(f"Python: {what!r}")


with Client(base_url=sys.argv[1]) as client:
    product = read_product.sync(PRODUCT, client=client)
    expect(isinstance(product, models.Product) and product.available_stock > 0, product)

    wish = models.HoldOfProduct(product_id=product.id, quantity=1, customer_id=KEY)
    hold = create_hold.sync(client=client, body=wish, idempotency_key=KEY)
    expect(isinstance(hold, models.NewHold), hold)
    replayed = create_hold.sync_detailed(client=client, body=wish, idempotency_key=KEY)
    expect(replayed.headers["idempotency-replayed"] == "true" and replayed.parsed.id == hold.id, replayed)

    # Somebody takes the last ones. The next buyer is refused with a class that only this call and status have.
    left = read_product.sync(SCARCE, client=client).available_stock
    if left > 0:
        last = create_hold.sync(client=client, body=models.HoldOfProduct(product_id=SCARCE, quantity=left))
        expect(isinstance(last, models.NewHold), last)
    sold_out = create_hold.sync(client=client, body=models.HoldOfProduct(product_id=SCARCE, quantity=1))
    expect(isinstance(sold_out, models.CreateHoldResponse409), sold_out)
    expect(sold_out.code == models.CreateHoldResponse409Code.INSUFFICIENT_STOCK, sold_out)

    order = create_order.sync(client=client, body=models.OrderRequest(hold_id=hold.id))
    expect(isinstance(order, models.Order) and order.status == "pending", order)

    event = models.PaymentEvent.from_dict({
        "idempotency_key": KEY,
        "payload": {
            "status": "paid",
            "order_id": order.id,
            "payment_id": f"pi_{KEY}",
            "amount": order.total_amount,
            "currency": order.currency,
        },
    })
    answer = receive_payment_event.sync(client=client, body=event)
    expect(answer.outcome == "applied" and answer.order.status == "paid", answer)

    paid = read_order.sync(order.id, client=client)
    expect(isinstance(paid, models.Order) and paid.status == "paid", paid)
    print(f"Python: {paid.id} is {paid.status}, {paid.total_amount} {paid.currency}")
