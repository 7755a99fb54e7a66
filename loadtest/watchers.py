#!/usr/bin/env python3
"""Watches one product with many connections, and measures what they cost the service and how late events come.

    python3 loadtest/watchers.py http://127.0.0.1:8080 1 --watchers 10000 --events 20 --token "$ADMIN_TOKEN"

Through a proxy, with TLS or without, whose certificate nobody checks:

    python3 loadtest/watchers.py https://127.0.0.1:8443 1 --process http://127.0.0.1:8080 --token "$ADMIN_TOKEN"

Each event is a hold of one unit, or its release. Late is the time from the answer to that call until a watcher has the event, so it has
the tenth of a second in it that the service waits for more changes. Memory and processor are those of the process, from /metrics.
"""

import argparse
import asyncio
import json
import resource
import ssl
import time
import urllib.request
from urllib.parse import urlsplit


class Watcher(asyncio.Protocol):
    """One stream. It looks at bytes only as far as it must, because thousands of them share one thread."""

    def __init__(self, run):
        self.run = run

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.run.request)

    def data_received(self, data):
        if self.run.mark and self.run.mark in data:
            self.run.delays.append(time.perf_counter() - self.run.changed)
        elif b"event: product" in data:
            self.run.open += 1

    def connection_lost(self, _error):
        self.run.lost += 1


class Run:
    def __init__(self, url, product):
        self.url, self.product = url, product
        head = f"GET /api/products/{product}/live HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nAccept: text/event-stream\r\n\r\n"
        self.request = head.encode()
        self.mark, self.changed, self.delays, self.open, self.lost = b"", 0.0, [], 0, 0


UNCHECKED = ssl.create_default_context()
UNCHECKED.check_hostname, UNCHECKED.verify_mode = False, ssl.CERT_NONE


def call(url, method="GET", body=None, token=None):
    headers = {"content-type": "application/json"} if body else {}
    if token:
        headers["authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, method=method, data=json.dumps(body).encode() if body else None, headers=headers)
    with urllib.request.urlopen(request, timeout=30, context=UNCHECKED) as answer:
        return answer.read()


def process(url, token):
    lines = call(f"{url}/metrics", token=token).decode().splitlines()
    value = lambda name: float(next(line.split()[-1] for line in lines if line.startswith(name + " ")))
    return value("process_resident_memory_bytes"), value("process_cpu_seconds_total")


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("product", type=int)
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--events", type=int, default=20)
    parser.add_argument("--pause", type=float, default=2.0, help="seconds between two events")
    parser.add_argument("--process", help="URL of the process itself, for its metrics [default: url]")
    parser.add_argument("--token", help="an admin token, or that of metrics.token")
    arguments = parser.parse_args()
    watched = arguments.process or arguments.url
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    run, loop = Run(arguments.url, arguments.product), asyncio.get_running_loop()
    in_thread = lambda *of, **more: asyncio.to_thread(call, *of, **more)
    memory, _ = await asyncio.to_thread(process, watched, arguments.token)
    host, port = urlsplit(arguments.url).hostname, urlsplit(arguments.url).port
    tls = UNCHECKED if urlsplit(arguments.url).scheme == "https" else None
    began = time.perf_counter()
    for first in range(0, arguments.watchers, 200):
        count = min(200, arguments.watchers - first)
        await asyncio.gather(*(loop.create_connection(lambda: Watcher(run), host, port or (443 if tls else 80), ssl=tls) for _ in range(count)))
    while run.open < arguments.watchers and time.perf_counter() - began < 60:
        await asyncio.sleep(0.05)
    took = time.perf_counter() - began
    with_watchers, processor = await asyncio.to_thread(process, watched, arguments.token)
    print(f"{run.open} of {arguments.watchers} streams are open after {took:.1f} s, {run.lost} lost")
    print(f"memory: {(with_watchers - memory) / max(run.open, 1) / 1000:.1f} kB for each")
    started, hold = time.perf_counter(), None
    for _ in range(arguments.events):
        stock = json.loads(await in_thread(f"{arguments.url}/api/products/{arguments.product}"))["available_stock"]
        run.mark = f'"available_stock":{stock + (1 if hold else -1)},'.encode()
        if hold:
            await in_thread(f"{arguments.url}/api/holds/{hold}", "DELETE")
            hold = None
        else:
            body = {"product_id": arguments.product, "quantity": 1}
            hold = json.loads(await in_thread(f"{arguments.url}/api/holds", "POST", body))["id"]
        run.changed = time.perf_counter()
        await asyncio.sleep(arguments.pause)
    _, now = await asyncio.to_thread(process, watched, arguments.token)
    delays, wanted = sorted(run.delays), run.open * arguments.events
    if not delays:
        raise SystemExit("no event came")
    at = lambda part: delays[min(len(delays) - 1, int(len(delays) * part))] * 1000
    print(f"events: {len(delays)} of {wanted} came, {at(0.5):.0f} ms late in the middle, {at(0.99):.0f} ms 99 of 100, {at(1):.0f} ms at worst")
    print(f"processor: {(now - processor) / (time.perf_counter() - started) * 100:.1f} % of one, {(now - processor) / len(delays) * 1e6:.0f} us an event")


asyncio.run(main())
