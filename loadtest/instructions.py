#!/usr/bin/env python3
"""Instructions of Redis for each item that a script decides, counted by callgrind.

loadtest/instructions.py [FOLDER]: calls the scripts of FOLDER (default: lua) as the service does, on a Redis under valgrind. Counts
do not depend on the machine's mood, so the folders of two commits can be compared (git worktree add). Needs valgrind and
redis-server; SERVER names another server.
"""
import os, random, re, subprocess, sys, tempfile, time

import resp

if {"-h", "--help"} & set(sys.argv[1:]):
    sys.exit(print(__doc__))
ROOT = sys.argv[1] if len(sys.argv) > 1 else "lua"
KEY = lambda name, sale=1: "fs1:{p%d}:%s" % (sale, name)
BOOK = [KEY(name) for name in "sale stock lapses deadlines customers events due orders".split()]
REVIEWS = [KEY(name) for name in "reviews review_records resolved".split()]
DAY, MONTH, EVENTS, FAR = 86_400_000, 2_592_000_000, 100_000, 10**15
TERMS = {"hold_ms": 120000, "hold_max_ms": "", "starts": "", "ends": "", "paused": 0, "payment_ms": 600000, "payment_max_ms": 600000,
         "review_ms": 1000000, "payment_amount": "at_least", "on_payment_failed": "release", "on_payment_ended": "keep",
         "restock_refunds": 1, "cooldown_ms": 0, "cooldown_counts_releases": 0, "rules": "", "currency": "USD"}
LIMITS = {"sale": "max_per_group=2", "product": "group=g%d max_per_customer=2"}
CALLS = 60


def source(name):
    text = open(f"{ROOT}/{name}.lua").read()
    shebang, body = text.split("\n", 1)
    names = re.search(r"^-- uses   ((?:.*,\n--)*.*)$", body, re.M).group(1).replace("\n--", "").split(",")
    return shebang + "\n" + "".join(open(f"{ROOT}/lib/{name.strip()}.lua").read() for name in names) + body


class Redis(resp.Connection):
    """A server of its own, under callgrind."""

    def __init__(self, folder):
        self.folder, self.made, self.loaded = folder, 0, {}
        server = [os.environ.get("SERVER", "redis-server"), "--port", "0", "--unixsocket", folder + "/s", "--save", "", "--dir", folder]
        valgrind = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={folder}/out"]
        self.process = subprocess.Popen(valgrind + server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not os.path.exists(folder + "/s"):
            if self.process.poll() is not None:
                sys.exit("instructions.py: valgrind or redis-server does not start")
            time.sleep(0.05)
        super().__init__(folder + "/s")

    def script(self, name, keys, arguments):
        if name not in self.loaded:
            self.loaded[name] = self.call("SCRIPT", "LOAD", source(name))
        reply = self.call("EVALSHA", self.loaded[name], len(keys), *keys, *arguments)
        assert reply[0] == "decided", reply

    def sell(self, products, rules, sale=1, is_sold_out=False):
        self.call("HSET", KEY("sale", sale), *[part for term in TERMS.items() for part in term])
        self.call("HSET", KEY("sale", sale), "rules", LIMITS["sale"] if rules else "")
        for id in range(1, products + 1):
            own = LIMITS["product"] % (id % 3) if rules else ""
            units = "0 1 0 999999999" if is_sold_out else "1000000000 0 0 0"
            self.call("HSET", KEY("stock", sale), id, f"{units} 1000000000 500000 10 {own}")
        # One unit is held, and its bucket is due some day.
        if is_sold_out:
            self.call("HSET", KEY("lapses", sale), f"{FAR}:1:h", 1)
            self.call("ZADD", KEY("deadlines", sale), FAR, f"{FAR}:1:h")
            self.call("HSET", KEY("sale", sale), "first_due", FAR)

    def ids(self, count):
        """As random as those of the service."""
        self.made += count
        return ["%012x" % (number * 0x9E3779B97F4A7C15 % 2**64 >> 16) for number in range(self.made - count, self.made)]

    def hold(self, ids, wishes):
        runs = []
        for wish in wishes:
            if runs and runs[-1][1] == wish:
                runs[-1][0] += 1
            else:
                runs.append([1, wish])
        keys = BOOK[:5] + [KEY("hold:" + id) for id in ids]
        self.script("hold", keys, [len(ids), DAY, ""] + [part for run in runs for part in run])

    def hold_sales(self, chosen):
        """A hold of each of these sales."""
        keys, runs = [], []
        for sale in dict.fromkeys(chosen):
            ids = self.ids(chosen.count(sale))
            keys += [KEY(name, sale) for name in "sale stock lapses deadlines customers".split()]
            keys += [KEY("hold:" + id, sale) for id in ids]
            runs += [len(ids), 1, len(ids), "1=1"]
        self.script("hold_sales", keys, [""] + runs)

    def order(self, ids):
        self.script("order", BOOK + [KEY(kind + id) for id in ids for kind in ("hold:", "order:")], [MONTH, EVENTS])

    def pay(self, ids):
        keys = BOOK + REVIEWS + [KEY(kind + id) for id in ids for kind in ("hold:", "order:", "once:")]
        paid = ["\n".join(["paid", "f" * 22, "evt_" + id, "pi_" + id, "500000", "USD"] + [""] * 6) for id in ids]
        self.script("settle", keys, [MONTH, EVENTS, DAY] + paid)

    def count(self, items, call):
        """Instructions of an item: those of all calls, so many items each, without the first ones."""
        for _ in range(CALLS // 6):
            call()
        control = lambda what: subprocess.run(["callgrind_control", what, str(self.process.pid)], capture_output=True)
        control("-z")
        for _ in range(CALLS):
            call()
        control("-d")
        dumps = [name for name in os.listdir(self.folder) if name.startswith("out.")]
        newest = max(dumps, key=lambda name: int(name[4:]))
        return int(re.search(r"^totals: (\d+)", open(f"{self.folder}/{newest}").read(), re.M).group(1)) / CALLS / items


def holds(batch, products, wish, rules=False, is_sold_out=False):
    def measure(redis):
        redis.sell(products, rules, 1, is_sold_out)
        chance, shares = random.Random(7), [1 / n for n in range(1, products + 1)]
        def call():
            ids = redis.ids(batch)
            # As the service sends them: those that want the same together.
            chosen = sorted(chance.choices(range(1, products + 1), shares, k=batch))
            redis.hold(ids, [wish(product, chance) for product in chosen])
        return redis.count(batch, call)
    return measure


def holds_of_sales(batch, sales, is_sold_out=False):
    def measure(redis):
        for sale in range(1, sales + 1):
            redis.sell(1, False, sale, is_sold_out)
            redis.call("HSET", KEY("sale", sale), "first_due", FAR)
        chance, shares = random.Random(7), [1 / n for n in range(1, sales + 1)]
        return redis.count(batch, lambda: redis.hold_sales(chance.choices(range(1, sales + 1), shares, k=batch)))
    return measure


def steps(batch, of_payments):
    def measure(redis):
        redis.sell(1, False)
        waiting = []
        for _ in range(CALLS + CALLS // 6):
            ids = redis.ids(batch)
            redis.hold(ids, ["1=1"] * batch)
            if of_payments:
                redis.order(ids)
            waiting.append(ids)
        return redis.count(batch, lambda: (redis.pay if of_payments else redis.order)(waiting.pop()))
    return measure


plain = lambda product, _: f"{product}=1"
of_customer = lambda product, chance: f"{product}=1 customer-{chance.randrange(10000)}"
PARTS = {
    "a lone hold": holds(1, 1, plain), "64 holds of one product": holds(64, 1, plain),
    "64 holds of 1,000 products": holds(64, 1000, plain), "16 holds of 1,000 products": holds(16, 1000, plain),
    "40 holds of 1,000 sales": holds_of_sales(40, 1000), "40 refusals of 1,000 sales": holds_of_sales(40, 1000, True),
    "a lone refusal": holds(1, 1, plain, False, True), "64 refusals of one product": holds(64, 1, plain, False, True),
    "a lone hold of a customer": holds(1, 30, of_customer), "64 holds of customers": holds(64, 30, of_customer),
    "a lone hold under limits": holds(1, 30, of_customer, True), "64 holds under limits": holds(64, 30, of_customer, True),
    "a lone order": steps(1, False), "8 orders": steps(8, False), "a lone payment": steps(1, True), "8 payments": steps(8, True),
}

for name, measure in PARTS.items():
    with tempfile.TemporaryDirectory(prefix="fs") as folder:
        redis = Redis(folder)
        try:
            print(f"{name:30}{measure(redis):10,.0f}", flush=True)
        finally:
            redis.process.kill()
            redis.process.wait()
