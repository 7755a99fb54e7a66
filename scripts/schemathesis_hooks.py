"""What schemathesis cannot know of its own: how to write NDJSON, what is for sale, and what a schema cannot say."""

import json
import os
import zlib
from collections import deque

import schemathesis

# Requests that a schema allows and the service refuses for what they met: another request, a product, or a clock.
REFUSED_BY_WHAT_IS_STORED = {
    "idempotency_key_reused",
    "quantity_above_limit",
    "products_of_different_sales",
    "customer_id_required",
    "sale_required",
    "hold_expired",
    "cursor_expired",
}

# Fields that the service refuses for what a schema cannot say of them: the place and the code of the complaint, and why.
BEYOND_A_SCHEMA = {
    ("/after", "conflict"): "excludes another parameter",
    ("/since", "conflict"): "excludes another parameter",
    ("/sku", "conflict"): "excludes another parameter",
    ("/until", "conflict"): "excludes another parameter, or is earlier than another",
    ("/wait", "conflict"): "excludes another parameter",
    ("/ends_at", "conflict"): "is earlier than another field",
    ("/hold_seconds", "conflict"): "is more than another field",
    ("/payment_seconds", "conflict"): "is more than another field",
    ("/payload/order_id", "required"): "or one of two other fields",
    ("/idempotency_key", "required"): "or a header",
    ("", "too_large"): "units that are there already count too",
    ("/items", "invalid"): "each product once",
    ("/payload/hold_id", "conflict"): "names another order than another field",
    ("/currency", "currency_differs"): "that of the sale",
    ("/sale", "currency_differs"): "one in the currency of the product",
    ("/price", "too_large"): "times another field",
    ("/price", "invalid_format"): "with as many decimals as its currency has, and times another field",
    ("/currency", "invalid_format"): "of three letters, one that exists",
    ("/after", "invalid_format"): "of a page that there was",
    ("/before", "invalid_format"): "of a page that there was",
    ("/cursor", "invalid_format"): "of a page that there was",
    ("/zone", "invalid_format"): "a zone that exists",
    ("/columns", "invalid_format"): "those of what has a row",
    ("/metadata", "invalid_format"): "counted in bytes",
}

# The ids of the products that scripts/schemathesis puts up for sale.
FOR_SALE = range(4711, 5111)

# From here on each operation must have succeeded once.
LONG_SECONDS = 300

# What was made last, as its buyers go on with it: nobody guesses the id of a hold or an order.
HOLDS, ORDERS = deque(maxlen=20), deque(maxlen=20)
FEW = 3


@schemathesis.serializer("application/x-ndjson")
def ndjson(context, value):
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


@schemathesis.hook
def after_call(context, case, response):
    made = {"POST /api/holds": HOLDS, "POST /api/orders": ORDERS}.get(case.operation.label)
    if made is not None and response.status_code == 201:
        made.append(response.json()["id"])


@schemathesis.hook
def before_call(context, case, kwargs):
    # schemathesis fills in what it saw elsewhere, also numbers, which no header can be.
    for name, value in list((case.headers or {}).items()):
        if not isinstance(value, (str, bytes)):
            case.headers[name] = str(value)
    operation, path, query, body = case.operation.label, case.path_parameters, case.query, case.body
    choice = zlib.crc32(repr((path, query, case.headers, body)).encode())
    # Every third request stays as it is.
    if case.meta is None or not case.meta.generation.mode.is_positive or choice % 3 == 0:
        return
    product = FOR_SALE[choice % len(FOR_SALE)]
    if operation == "POST /api/holds" and "product_id" in body:
        case.body = {**body, "product_id": product, "quantity": 1 + choice % 2}
    elif operation == "POST /api/orders" and HOLDS:
        case.body = {**body, "hold_id": HOLDS.popleft()}
    elif "/api/holds/{id}" in operation and HOLDS:
        path["id"] = HOLDS.pop() if operation.startswith("DELETE") and len(HOLDS) > FEW else HOLDS[-1]
    elif "orders/{id}" in operation and ORDERS:
        # What was cancelled or is being paid is of no use to the next who would do so. Cancelling leaves some to be paid.
        takes = operation.endswith("/payment-started") or operation.endswith("/cancel") and len(ORDERS) > FEW
        path["id"] = ORDERS.pop() if takes else ORDERS[0]
    elif operation == "POST /api/payments/webhook" and ORDERS:
        words = ("paid", "processing", "failed", "refunded", "disputed")
        payload = {**body["payload"], "order_id": ORDERS[0], "status": words[choice % len(words)]}
        case.body = {**body, "payload": payload}
    elif "by-sku" in operation:
        path["sku"] = f"shoe-{product}"
        if operation.endswith("/move"):
            case.body = {**body, "sale": "quick"}
    # Parameters that exclude each other.
    elif operation == "GET /api/admin/events":
        left_out = ("after", "since", "until", "wait") if "before" in query else ("since",)
        case.query = {name: query[name] for name in query if name not in left_out}
    elif operation == "GET /api/admin/orders":
        query.pop("sku", None)


def is_beyond_a_schema(problem):
    errors = problem.get("errors", [])
    refused = [(one["pointer"], one["code"]) in BEYOND_A_SCHEMA for one in errors]
    return problem["code"] in REFUSED_BY_WHAT_IS_STORED or bool(errors) and all(refused)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    operation, kind = case.operation.label, type(failure).__name__
    is_import = operation == "POST /api/admin/import"
    if kind == "RejectedPositiveData" and response.status_code in (410, 422):
        # The first row of a table in CSV names its columns, which no schema can ask for.
        return not (is_import and case.media_type == "text/csv" or is_beyond_a_schema(response.json()))
    if kind == "AcceptedNegativeData" and is_import:
        # A bad row is reported, and stops no other.
        return response.json()["failed"] == 0
    # No event about money is refused for what it says beside that.
    return not (kind == "AcceptedNegativeData" and operation.startswith("POST /api/payments/webhook"))


@schemathesis.check
class EachOperationSucceeds:
    """What was only ever refused was not tested. A short run may leave some out."""

    def __init__(self):
        self.asked, self.succeeded = set(), set()

    def after_response(self, ctx, response, case):
        operation = case.operation.label
        self.asked.add(operation)
        if 200 <= response.status_code < 300 and response.request.method == operation.split()[0]:
            self.succeeded.add(operation)

    def after_run(self, ctx):
        never = sorted(self.asked - self.succeeded)
        print(f"schemathesis: {len(self.succeeded)} of {len(self.asked)} operations succeeded; never {never}", flush=True)
        assert not never or int(os.environ["RUN_SECONDS"]) < LONG_SECONDS, f"never succeeded: {never}"
