import base64, hmac, json, os, time, urllib.request

KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))

def post(path, body, headers={}):
    headers = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(os.environ["FLASHSALE_URL"] + path, body.encode(), headers)
    with urllib.request.urlopen(request, timeout=5) as answer:         # a refusal is an HTTPError; its code is the status
        return json.load(answer)

def check_out(hold_id):
    """Returns the order to pay: ask your provider for `total_amount` in `currency`, and let it keep the order's `id`."""
    order = post("/api/orders", json.dumps({"hold_id": hold_id}))      # 410: the hold has lapsed, let the buyer hold again
    return post(f"/api/orders/{order['id']}/payment-started", "{}")    # 409: it is paid, cancelled or expired

def report(event_id, **payment):
    """Reports what happened to a payment, and returns the outcome. Repeat it until it succeeds: that does no harm."""
    body, now = json.dumps({"payload": payment}), int(time.time())
    signature = base64.b64encode(hmac.digest(KEY, f"{event_id}.{now}.{body}".encode(), "sha256")).decode()
    return post("/api/payments/webhook", body, {"webhook-id": event_id, "webhook-timestamp": str(now),
                                                "webhook-signature": f"v1,{signature}"})["outcome"]
