"""Signs webhooks with the official libraries and posts them; checks with them what flashsale signed.

Reads one JSON object from stdin: {"send": [job, ...], "check": [job, ...]}, and prints what came of each job.
"""

import datetime
import json
import sys
import time
import urllib.error
import urllib.request

import standardwebhooks
import stripe


def standard_headers(job, at):
    moment = datetime.datetime.fromtimestamp(at, tz=datetime.timezone.utc)
    signed = [standardwebhooks.Webhook(secret).sign(job["id"], moment, job["body"]) for secret in job["secrets"]]
    prefix = job.get("prefix", "webhook")
    return {f"{prefix}-id": job["id"], f"{prefix}-timestamp": str(at), f"{prefix}-signature": " ".join(signed)}


def stripe_headers(job, at):
    sign = stripe.WebhookSignature.generate_signature_header
    headers = [sign(job["body"], secret, at) for secret in job["secrets"]]
    return {"stripe-signature": ",".join([headers[0]] + [header.split(",", 1)[1] for header in headers[1:]])}


def send(job):
    headers = {"standard": standard_headers, "stripe": stripe_headers}[job["library"]](job, int(time.time()) - job["age"])
    body = job.get("sent", job["body"]).encode()
    request = urllib.request.Request(job["url"], body, {"content-type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return [answer.status, json.load(answer)["outcome"]]
    except urllib.error.HTTPError as refused:
        return [refused.code, json.load(refused)["code"]]


def check(job):
    """Raises when the library does not trust what was signed."""
    if job["library"] == "standard":
        standardwebhooks.Webhook(job["secret"]).verify(job["body"], job["headers"])
    else:
        stripe.Webhook.construct_event(job["body"], job["headers"]["stripe-signature"], job["secret"])
    return "trusted"


jobs = json.load(sys.stdin)
print(json.dumps({"send": [send(job) for job in jobs["send"]], "check": [check(job) for job in jobs["check"]]}))
