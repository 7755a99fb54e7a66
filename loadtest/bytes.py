#!/usr/bin/env python3
"""Bytes of Redis that a hold, a pending order and a paid order take, by kind of key.

loadtest/bytes.py [PROGRAM [ORDERS]]: starts the service with a Redis of its own, and adds up MEMORY USAGE of all keys. Ids are
as long as those of Stripe, every order has a customer, and each payment one event.
"""
import collections, http.client, json, os, re, signal, subprocess, sys, tempfile, time

import resp

if {"-h", "--help"} & set(sys.argv[1:]):
    sys.exit(print(__doc__))
PROGRAM = sys.argv[1] if len(sys.argv) > 1 else "target/release/flashsale"
ORDERS = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
if not os.access(PROGRAM, os.X_OK):
    sys.exit(f"bytes.py: {PROGRAM} is no program: make build, or name one")
TOKEN = "only-for-this-run"


class Redis(resp.Connection):
    def bytes(self):
        sums = collections.Counter()
        for key in self.call("KEYS", "*"):
            kind = re.sub(r"^fs1:(\{[^}]*\}:)?", "", key).split(":")[0]
            sums[kind] += self.call("MEMORY", "USAGE", key, "SAMPLES", 0) or 0
        sums["all that Redis took"] = int(re.search(r"used_memory:(\d+)", self.call("INFO", "memory")).group(1))
        return sums


def main(folder):
    environment = {name: text for name, text in os.environ.items() if not name.startswith("FLASHSALE_")}
    environment.update(FLASHSALE_REDIS__DATA_DIR=folder + "/data", FLASHSALE_ADMIN__TOKEN=TOKEN, FLASHSALE_LOG__FORMAT="json",
                       FLASHSALE_WEBHOOK__ALLOW_UNSIGNED="true", FLASHSALE_HTTP__DRAIN_SECONDS="0")
    open(folder + "/empty.toml", "w").close()
    command = [PROGRAM, "--config", folder + "/empty.toml", "--addr", "127.0.0.1:0", "serve"]
    with open(folder + "/log", "w") as log:
        service = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        measure(folder, service)
    finally:
        service.terminate()
        service.wait()


def measure(folder, service):
    address = None
    while not address:
        if service.poll() is not None:
            sys.exit(open(folder + "/log").read())
        time.sleep(0.05)
        address = re.search(r'"addr":"([0-9.]+:\d+)"', open(folder + "/log").read())
    client = http.client.HTTPConnection(address.group(1))

    def post(path, body):
        headers = {"Content-Type": "application/json", "Authorization": "Bearer " + TOKEN}
        client.request("POST", path, json.dumps(body), headers)
        answer = client.getresponse()
        text = answer.read()
        if answer.status > 201:
            sys.exit(f"{path}: {answer.status} {text.decode()}")
        return json.loads(text)

    post("/api/admin/products", {"id": 1, "sale": "drop", "name": "Item", "price": "50.00", "total_stock": 10 * ORDERS})
    redis = Redis(folder + "/data/redis.sock")
    steps = [("nothing", redis.bytes())]
    hold = lambda number: post("/api/holds", {"product_id": 1, "quantity": 1, "customer_id": f"customer-{number:06}"})["id"]
    holds = [hold(number) for number in range(ORDERS)]
    steps.append(("a hold", redis.bytes()))
    orders = [post("/api/orders", {"hold_id": hold})["id"] for hold in holds]
    steps.append(("a pending order", redis.bytes()))
    for number, order in enumerate(orders):
        payload = {"status": "paid", "order_id": order, "payment_id": f"pi_{number:024}", "amount": "50.00"}
        post("/api/payments/webhook", {"idempotency_key": f"evt_{number:024}", "payload": payload})
    steps.append(("a paid order", redis.bytes()))

    before = steps[0][1]
    for name, sums in steps[1:]:
        each = {kind: (sums[kind] - before[kind]) / ORDERS for kind in sums}
        took = each.pop("all that Redis took")
        kinds = ", ".join(f"{kind} {size:.0f}" for kind, size in sorted(each.items(), key=lambda kind: -kind[1]) if size >= 0.5)
        print(f"{name:16} {sum(each.values()):6.0f} bytes in keys, {took:6.0f} of all memory: {kinds}")


signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
with tempfile.TemporaryDirectory(prefix="fs") as folder:
    main(folder)
