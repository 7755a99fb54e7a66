"""Buyers for Locust. Name the classes to run; without names all three run:

    locust -f loadtest/locustfile.py --headless -u 20 -r 20 -t 5s Rush

From the environment: URL (or --host), ADMIN_TOKEN, WEBHOOK_SECRET (none: events are not signed, as with --demo), API_KEY
(none, for a service that asks for no key), UNITS of Rush (1000), and EXPECT_UNITS (UNITS), the number that Rush is judged by:
another number must make it fail, which shows that it can.

Each class sells a product of its own, made when the test starts. When the test stops, the answers that the buyers counted are
compared with the figures of that product. If they differ, Locust exits with 1. It counts in one process: not for --processes.
"""

import base64
import hashlib
import hmac
import json
import logging
import os
import time
import uuid
from collections import Counter

import gevent
import requests
from locust import FastHttpUser, events, task

TOKEN = os.environ.get("ADMIN_TOKEN", "")
SECRET = os.environ.get("WEBHOOK_SECRET", "").removeprefix("whsec_")
KEY = {"X-Api-Key": os.environ["API_KEY"]} if os.environ.get("API_KEY") else {}
UNITS = int(os.environ.get("UNITS") or 1000)
EXPECT_UNITS = int(os.environ.get("EXPECT_UNITS") or UNITS)
COPIES = 3

log = logging.getLogger("flashsale")


class Buyer(FastHttpUser):
    """What all buyers do: send requests and count the answers. `counts` and `product` belong to the class."""

    abstract = True
    host = os.environ.get("URL") or "http://127.0.0.1:8080"
    connection_timeout = 10.0
    network_timeout = 10.0
    units = 1_000_000
    product = 0
    counts: Counter = Counter()
    stopping = False

    @task
    def visit(self):
        # At the end Locust kills a buyer who waits between tasks, even if the next task has begun since: after the hold, say,
        # and before the order. So no task begins from then on.
        if not Buyer.stopping:
            self.buy()

    def post(self, path, body, expected, headers=None):
        """The status and the JSON of an expected answer; any other is a failed request, counted as `other`, and (0, {})."""
        data = body if isinstance(body, str) else json.dumps(body)
        headers = {"Content-Type": "application/json", **KEY, **(headers or {})}
        with self.client.post(path, data=data, headers=headers, name=path, catch_response=True) as answer:
            if answer.status_code in expected:
                # A refusal is not a failure.
                answer.success()
                return answer.status_code, answer.json()
            answer.failure(f"{answer.status_code} {(answer.text or '')[:200]}")
            self.counts["other"] += 1
            return 0, {}

    def hold(self, headers=None):
        return self.post("/api/holds", {"product_id": self.product, "quantity": 1}, (201, 409), headers)

    def order(self, hold):
        return self.post("/api/orders", {"hold_id": hold}, (200, 201))[1].get("id")

    def pay(self, order):
        """Sends the event that the order was paid, the same one for the same order; gives its outcome."""
        key = f"pay-{order}"
        event = json.dumps({"idempotency_key": key, "payload": {"status": "paid", "order_id": order}})
        return self.post("/api/payments/webhook", event, (200,), signature(key, event))[1].get("outcome", "no outcome")


class Rush(Buyer):
    """Each visit is another buyer with one request: exactly UNITS of them may get a unit."""

    units = UNITS

    def buy(self):
        status, _ = self.hold()
        if status:
            self.counts["held" if status == 201 else "refused"] += 1

    @classmethod
    def faults(cls, stock):
        answered = cls.counts["held"] + cls.counts["refused"]
        yield "units given out", cls.counts["held"], min(answered, EXPECT_UNITS)
        yield "held_stock", stock["held_stock"], min(answered, EXPECT_UNITS)


class Lifecycle(Buyer):
    """Whole purchases: hold, order, payment event, and a read of the order."""

    def buy(self):
        _, hold = self.hold()
        order = hold.get("id") and self.order(hold["id"])
        if not order:
            return
        self.counts.update(["orders", self.pay(order)])
        path = f"/api/orders/{order}"
        with self.client.get(path, headers=KEY, name="/api/orders/{id}", catch_response=True) as answer:
            if answer.status_code != 200 or answer.json()["status"] != "paid":
                answer.failure(f"the order is not paid: {answer.status_code} {answer.text}")

    @classmethod
    def faults(cls, stock):
        yield "applied", cls.counts["applied"], cls.counts["orders"]
        yield "sold_stock", stock["sold_stock"], cls.counts["applied"]
        yield "held_stock", stock["held_stock"], 0


class Duplicates(Buyer):
    """Clients and payment providers that send everything COPIES times at once."""

    def buy(self):
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        holds = at_once(lambda: self.hold(headers)[1].get("id"))
        order = holds[0] and self.order(holds[0])
        if not order:
            return
        self.counts.update(["orders", "same hold" if len(set(holds)) == 1 else "another hold"])
        self.counts.update(at_once(lambda: self.pay(order)))

    @classmethod
    def faults(cls, stock):
        orders = cls.counts["orders"]
        yield "keys that gave one hold", cls.counts["same hold"], orders
        yield "applied", cls.counts["applied"], orders
        yield "duplicate", cls.counts["duplicate"], orders * (COPIES - 1)
        yield "sold_stock", stock["sold_stock"], orders
        yield "held_stock", stock["held_stock"], 0


def at_once(call):
    """The results of COPIES simultaneous calls."""
    calls = [gevent.spawn(call) for _ in range(COPIES)]
    gevent.joinall(calls, timeout=30)
    return [call.value for call in calls]


def signature(key, body):
    """The headers of the Standard Webhooks specification."""
    if not SECRET:
        return {}
    timestamp = str(int(time.time()))
    mac = hmac.digest(base64.b64decode(SECRET), f"{key}.{timestamp}.{body}".encode(), hashlib.sha256)
    return {
        "webhook-id": key,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }


@events.init.add_listener
def let_tasks_end(environment, **_):
    # A buyer who is stopped before the answer would not count a unit that is held.
    environment.stop_timeout = environment.stop_timeout or 15.0


@events.test_start.add_listener
def make_products(environment, **_):
    Buyer.stopping = False
    for buyer in environment.user_classes:
        url = f"{environment.host or buyer.host}/api/admin/products"
        product = {"name": f"locust {buyer.__name__}", "price": "1.00", "total_stock": buyer.units}
        try:
            made = requests.post(url, json=product, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)
            made.raise_for_status()
        except requests.RequestException as error:
            log.error("no product: %s; is ADMIN_TOKEN the token of the service?", error)
            environment.process_exit_code = 1
            environment.runner.quit()
            return
        buyer.product, buyer.counts = made.json()["id"], Counter()


@events.test_stopping.add_listener
def begin_no_task(**_):
    Buyer.stopping = True


@events.test_stop.add_listener
def compare(environment, **_):
    for buyer in environment.user_classes:
        if not buyer.product:
            continue
        url = f"{environment.host or buyer.host}/api/products/{buyer.product}"
        try:
            read = requests.get(url, headers=KEY, timeout=10)
            read.raise_for_status()
        except requests.RequestException as error:
            log.error("%s NOT proved: %s", buyer.__name__, error)
            environment.process_exit_code = 1
            continue
        stock = read.json()
        given = sum(stock[f"{name}_stock"] for name in ("available", "held", "pending", "sold"))
        faults = [("available + held + pending + sold", given, stock["total_stock"]), *buyer.faults(stock)]
        faults = [f"{name}: {found}, not {expected}" for name, found, expected in faults if found != expected]
        counts = ", ".join(f"{name} {times}" for name, times in sorted(buyer.counts.items()))
        if faults or not buyer.counts:
            log.error("%s NOT proved (%s): %s", buyer.__name__, counts, "; ".join(faults) or "nobody was answered")
            environment.process_exit_code = 1
        else:
            log.info("%s proved: %s", buyer.__name__, counts)
