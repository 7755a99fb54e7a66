"""Calls functions of a program of the documents: reads a line of JSON [function, arguments, named arguments] for each call, and
prints what it returned, or the status of a refusal."""

import importlib
import json
import os
import sys
import urllib.error

program = importlib.import_module(sys.argv[1])
if hasattr(program, "stripe"):
    program.stripe.api_base = os.environ["STRIPE_API"]

for line in sys.stdin:
    function, arguments, named = json.loads(line)
    try:
        answer = {"value": getattr(program, function)(*arguments, **named)}
    except urllib.error.HTTPError as refused:
        answer = {"status": refused.code}
    except ValueError as wrong:
        answer = {"wrong": str(wrong)}
    print(json.dumps(answer), flush=True)
