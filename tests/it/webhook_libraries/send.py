"""Signs webhooks with the official libraries and posts them; checks with them what flashsale signed.

Reads one JSON object from stdin: {"send": [job, ...], "check": [job, ...]}, and prints what came of each job.
"""

import datetime
import http.client
import json
import sys
import time
import typing
import urllib.parse

import standardwebhooks
import stripe
import stripe_shapes


def turned(value):
    """The same with the fields of all objects in reverse order."""
    if isinstance(value, dict):
        return {name: turned(value[name]) for name in reversed(value)}
    return [turned(item) for item in value] if isinstance(value, list) else value


# As Stripe writes it, as Python does, and as programs between them do.
SPELLINGS = [
    lambda body: json.dumps(body, indent=2, ensure_ascii=False),
    lambda body: json.dumps(body),
    lambda body: json.dumps(body, ensure_ascii=False, separators=(",", ":")),
    lambda body: json.dumps(body, sort_keys=True, separators=(",", ":")),
    lambda body: json.dumps(turned(body), ensure_ascii=False),
    lambda body: json.dumps(body, indent="\t").replace("\n", "\r\n") + "\r\n",
    lambda body: json.dumps(body).replace("/", "\\/").replace("<", "\\u003C"),
]
# And as only programs do: a byte order mark, half of a character, a number that no float holds.
ODD_SPELLINGS = [lambda body: "\ufeff" + json.dumps({**body, "cut": "\ud83d"}), lambda body: json.dumps(body)[:-1] + ',"n":1e999}']


def standard_headers(job, at):
    moment = datetime.datetime.fromtimestamp(at, tz=datetime.timezone.utc)
    signed = [standardwebhooks.Webhook(secret).sign(job["id"], moment, job["body"]) for secret in job["secrets"]]
    prefix = job.get("prefix", "webhook")
    headers = {f"{prefix}-id": job["id"], f"{prefix}-timestamp": str(at), f"{prefix}-signature": " ".join(signed)}
    return headers


def stripe_headers(job, at):
    sign = stripe.WebhookSignature.generate_signature_header
    headers = [sign(job["body"], secret, at) for secret in job["secrets"]]
    return {"stripe-signature": ",".join([headers[0]] + [header.split(",", 1)[1] for header in headers[1:]])}


def take_as_an_application_would(job, headers):
    """Raises when the library does not know the type, or reads something else in the body."""
    secret, header = job["secrets"][-1], headers["stripe-signature"]
    assert job["type"] in TYPES, f"the library does not know {job['type']}"
    if job.get("thin"):
        notification = stripe.StripeClient("sk_test_x").parse_event_notification(job["body"], header, secret)
        assert notification.type == f"v1.{job['type']}", notification
        return
    event = stripe.Webhook.construct_event(job["body"], header, secret)
    about = event.data.object
    assert (event.type, type(about)) == (job["type"], stripe_shapes.CLASSES[about.object]), about
    assert stripe.Event.construct_from(json.loads(job["body"]), "sk_test_x").data.object.id == about.id


def written(job):
    """A job with its body, where it only says what the body is about."""
    spellings = SPELLINGS
    if "shape" in job:
        body = (stripe_shapes.thin_event if job.get("thin") else stripe_shapes.event)(job)
    elif "payload" in job:
        body = {"payload": job["payload"], "note": stripe_shapes.TEXT, "attempt": job["spelling"]}
        spellings = SPELLINGS + ODD_SPELLINGS
    else:
        return job
    return {**job, "body": spellings[job["spelling"] % len(spellings)](body)}


TYPES = typing.get_args(stripe.Event.__annotations__["type"])
connections = {}


def post(url, body, headers):
    host, path = urllib.parse.urlsplit(url)[1:3]
    connection = connections.setdefault(host, http.client.HTTPConnection(host, timeout=30))
    connection.request("POST", path, body, {"content-type": "application/json", **headers})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def send(job):
    job = written(job)
    headers = {"standard": standard_headers, "stripe": stripe_headers}[job["library"]](job, int(time.time()) - job["age"])
    if "shape" in job:
        take_as_an_application_would(job, headers)
    status, answer = post(job["url"], job.get("sent", job["body"]).encode(), headers)
    return [status, answer["outcome" if status == 200 else "code"]]


def check(job):
    """Raises when the library does not trust what was signed."""
    if job["library"] == "standard":
        standardwebhooks.Webhook(job["secret"]).verify(job["body"], job["headers"])
    else:
        stripe.Webhook.construct_event(job["body"], job["headers"]["stripe-signature"], job["secret"])
    return "trusted"


jobs = json.load(sys.stdin)
print(json.dumps({
    "send": [send(job) for job in jobs["send"]],
    "check": [check(job) for job in jobs["check"]],
    "versions": stripe_shapes.VERSIONS,
    "types": TYPES,
}))
