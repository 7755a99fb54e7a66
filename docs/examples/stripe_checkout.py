import datetime, decimal, json, os, stripe, urllib.request

stripe.api_key = os.environ["STRIPE_SECRET_KEY"]
HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["FLASHSALE_READ_TOKEN"]}
# Decimals of amounts in Stripe's API, where they are not two. They are not those of ISO 4217: MGA differs.
DECIMALS = {**dict.fromkeys("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split(), 0),
            **dict.fromkeys("BHD JOD KWD OMR TND".split(), 3)}         # Stripe wants the last digit to be 0
sessions = {}                                                          # order -> session; keep it in your database

def call(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(os.environ["FLASHSALE_URL"] + path, data, HEADERS)
    with urllib.request.urlopen(request, timeout=5) as answer:         # a refusal is an HTTPError; its code is the status
        return json.load(answer)

def minor_units(amount, currency):
    units = decimal.Decimal(amount).scaleb(DECIMALS.get(currency, 2))  # "50.00" USD -> 5000, exactly
    if units % 1:
        raise ValueError(f"Stripe cannot charge {amount} {currency}")
    return int(units)

def check_out(hold_id):
    """Returns where to send the buyer. One hold makes one order and one session, however often this runs."""
    order_id = call("/api/orders", {"hold_id": hold_id})["id"]         # 410: the hold has lapsed, let the buyer hold again
    order = call(f"/api/orders/{order_id}/payment-started", {})        # 409: it is paid, cancelled or expired
    started = datetime.datetime.fromisoformat(order["payment_started_at"].replace("Z", "+00:00"))
    session = stripe.checkout.Session.create(
        mode="payment", client_reference_id=order_id, metadata={"order_id": order_id},
        payment_intent_data={"metadata": {"order_id": order_id}},      # Stripe does not copy it from the session
        line_items=[{"quantity": 1, "price_data": {
            "currency": order["currency"].lower(), "product_data": {"name": f"Order {order_id}"},
            "unit_amount": minor_units(order["total_amount"], order["currency"])}}],
        expires_at=int(started.timestamp()) + 33 * 60,                 # Stripe wants at least 30 minutes
        success_url=f"https://shop.example/thanks?order={order_id}", cancel_url="https://shop.example/cart",
        idempotency_key=order_id)
    sessions[order_id] = session.id
    return session.url

def end_sessions(cursor):
    """Ends the sessions of orders that ended. Run it each second with the cursor that it returned, at first with ""."""
    page = call("/api/admin/events?types=order.expired,order.cancelled" + (cursor and f"&after={cursor}"))
    for event in page["data"]:
        if session := sessions.get(event["order"]["id"]):
            try:
                stripe.checkout.Session.expire(session)
            except stripe.InvalidRequestError:
                pass                                                   # it was paid, or has ended by itself
            del sessions[event["order"]["id"]]
    return page["next_cursor"]                                         # keep it too, after the work is done
