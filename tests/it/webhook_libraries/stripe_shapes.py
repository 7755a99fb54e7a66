"""Events of Stripe as it sends them, with all fields, in the shapes of several API versions.

The typed classes of the library name the fields of today. A field that is not set here is null, as in most of Stripe's
bodies. FIELDS_SINCE and OLD_FIELDS say how older versions differ: https://docs.stripe.com/changelog.
"""

import stripe

VERSIONS = ["2020-08-27", "2022-11-15", "2025-03-31.basil", stripe.api_version]
TEXT = "Caf\u00e9 \U0001f389, 1 \u00d7 Item \"<b>\" \\ \u2028"

FIELDS_SINCE = {
    "2022-11-15": {"payment_intent": ["latest_charge"]},
    "2025-03-31.basil": {
        "payment_intent": ["excluded_payment_method_types", "payment_details", "presentment_details"],
        "charge": ["presentment_details"],
        "refund": ["pending_reason", "presentment_details"],
        "checkout.session": ["adaptive_pricing", "collected_information", "optional_items", "permissions", "presentment_details",
                             "wallet_options"],
    },
    stripe.api_version: {
        "payment_intent": ["allowed_payment_method_types", "customer_account", "hooks", "managed_payments", "payment_record"],
        "refund": ["customer", "customer_account", "payment_method"],
        "dispute": ["intended_submission_method"],
        "checkout.session": ["allowed_payment_method_types", "branding_settings", "customer_account",
                             "excluded_payment_method_types", "integration_identifier", "managed_payments",
                             "name_collection", "origin_context"],
    },
}


def is_before(version, other):
    return VERSIONS.index(version) < VERSIONS.index(other)


def listed(items, url):
    return {"object": "list", "data": items, "has_more": False, "total_count": len(items), "url": url}


class Shop:
    """What Stripe keeps of the payment of one order, in one API version."""

    def __init__(self, version, number, order, created):
        self.version, self.order, self.created = version, order, created
        self.intent_id, self.charge_id, self.session_id = f"pi_{number}", f"ch_{number}", f"cs_{number}"
        self.refund_id, self.dispute_id = f"re_{number}", f"dp_{number}"

    def whole(self, resource, values):
        """All fields of an object of this version."""
        kind = resource.OBJECT_NAME
        names = [name for name in resource.__annotations__ if not name.startswith("_") and name != "OBJECT_NAME"]
        later = [fields.get(kind, []) for since, fields in FIELDS_SINCE.items() if is_before(self.version, since)]
        later = [name for fields in later for name in fields]
        whole = {name: None for name in names if name not in later}
        whole.update(id=None, object=kind, livemode=True, created=self.created, metadata={}, currency="usd")
        if kind == "refund":
            del whole["livemode"]
        whole.update(values)
        return whole

    def payment_intent(self, status="succeeded", received=5000, capturable=0, **values):
        intent = self.whole(stripe.PaymentIntent, {
            "id": self.intent_id, "amount": 5000, "amount_capturable": capturable, "amount_details": {"tip": {}},
            "amount_received": received, "capture_method": "manual" if capturable else "automatic",
            "client_secret": f"{self.intent_id}_secret_x", "confirmation_method": "automatic", "description": TEXT,
            "metadata": {"order_id": self.order, "cart": "7"}, "payment_method_types": ["card", "link"],
            "payment_method_options": {"card": {"installments": None, "request_three_d_secure": "automatic"}},
            "status": status,
        })
        if is_before(self.version, "2025-03-31.basil"):
            intent["invoice"] = None
        charged = status == "succeeded" or bool(capturable)
        if is_before(self.version, "2022-11-15"):
            charges = [self.charge(captured=not capturable, amount_captured=received)] if charged else []
            intent["charges"] = listed(charges, f"/v1/charges?payment_intent={self.intent_id}")
        else:
            intent["latest_charge"] = self.charge_id if charged else None
        if not is_before(self.version, "2025-03-31.basil"):
            intent["presentment_details"] = {"presentment_amount": 4600, "presentment_currency": "eur"}
        intent.update(values)
        return intent

    def charge(self, refunded=0, has_intent=True, refunds=(), **values):
        charge = self.whole(stripe.Charge, {
            "id": self.charge_id, "amount": 5000, "amount_captured": 5000, "amount_refunded": refunded,
            "balance_transaction": "txn_1", "captured": True, "description": TEXT, "disputed": False,
            "billing_details": {"address": {"city": None, "country": "DE"}, "email": "a@example.com", "name": TEXT},
            "fraud_details": {}, "outcome": {"network_status": "approved_by_network", "type": "authorized"},
            "paid": True, "payment_intent": self.intent_id if has_intent else None,
            "payment_method": "pm_1", "payment_method_details": {"card": {"brand": "visa"}, "type": "card"},
            "receipt_url": "https://pay.stripe.com/receipts/x", "refunded": refunded == 5000, "status": "succeeded",
            # Stripe copies the metadata of an intent to its charge.
            "metadata": {"order_id": self.order},
        })
        if is_before(self.version, "2025-03-31.basil"):
            charge["invoice"] = None
        if is_before(self.version, "2022-11-15"):
            charge["refunds"] = listed(list(refunds), f"/v1/charges/{self.charge_id}/refunds")
        else:
            del charge["refunds"]
        charge.update(values)
        return charge

    def refund(self, status="succeeded", amount=5000, **values):
        return self.whole(stripe.Refund, {
            "id": self.refund_id, "amount": amount, "balance_transaction": "txn_2", "charge": self.charge_id,
            "destination_details": {"card": {"type": "refund"}, "type": "card"}, "payment_intent": self.intent_id,
            "reason": "requested_by_customer", "status": status, **values,
        })

    def dispute(self, status="needs_response", **values):
        return self.whole(stripe.Dispute, {
            "id": self.dispute_id, "amount": 5000, "balance_transactions": [], "charge": self.charge_id,
            "evidence": {"access_activity_log": None}, "is_charge_refundable": False, "payment_intent": self.intent_id,
            "evidence_details": {"due_by": self.created + 900_000, "has_evidence": False, "submission_count": 0},
            "network_reason_code": "10.4", "payment_method_details": {"card": {"brand": "visa"}, "type": "card"},
            "reason": "fraudulent", "status": status, **values,
        })

    def session(self, payment_status="paid", has_intent=True, total=5000, tax=0, **values):
        session = self.whole(stripe.checkout.Session, {
            "id": self.session_id, "amount_subtotal": 5000, "amount_total": total, "client_reference_id": self.order,
            "automatic_tax": {"enabled": tax > 0, "status": None}, "customer_details": {"email": "a@example.com"},
            "custom_fields": [], "expires_at": self.created + 1800, "mode": "payment", "payment_method_types": ["card"],
            "payment_intent": self.intent_id if has_intent else None, "payment_status": payment_status,
            "shipping_options": [], "status": "complete", "success_url": "https://shop.example/thanks",
            "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": tax}, "ui_mode": "hosted",
        })
        if not is_before(self.version, "2025-03-31.basil"):
            session["presentment_details"] = {"presentment_amount": 4600, "presentment_currency": "eur"}
        session.update(values)
        return session

    def converted(self, name):
        """An object of a payment whose buyer paid in another currency. Until 2025-03-31 all amounts were in that currency."""
        make = {"session": self.session, "charge": lambda **values: self.charge(5000, **values), "refund": self.refund}[name]
        if not is_before(self.version, "2025-03-31.basil"):
            return make()
        if name == "session":
            conversion = {"amount_subtotal": 5000, "amount_total": 5000, "fx_rate": "0.92", "source_currency": "usd"}
            return make(currency="eur", amount_subtotal=4600, total=4600, currency_conversion=conversion)
        amounts = ["amount", "amount_captured", "amount_refunded"] if name == "charge" else ["amount"]
        return make(currency="eur", **dict.fromkeys(amounts, 4600))

    def object(self, shape):
        """The object of an event, by the name of its shape."""
        name, _, variant = shape.partition(" ")
        if variant == "converted":
            return self.converted(name)
        refunded = {"whole": 5000, "part": 1000}.get(variant, 0)
        if name == "intent":
            return {
                "succeeded": lambda: self.payment_intent(),
                "authorised": lambda: self.payment_intent("requires_capture", 0, 5000),
                "charge expanded": lambda: self.payment_intent(latest_charge=self.charge()),
                "requires_payment_method": lambda: self.payment_intent(variant, 0, last_payment_error={
                    "charge": self.charge_id, "code": "card_declined", "decline_code": "generic_decline", "message": TEXT}),
            }.get(variant, lambda: self.payment_intent(variant, 0))()
        if name == "charge":
            refunds = [self.refund(amount=refunded)] if refunded else []
            legacy = {"has_intent": False, "payment_method": None, "source": {"id": "card_1", "object": "card"}}
            return {
                "uncaptured": lambda: self.charge(captured=False, amount_captured=0),
                "released": lambda: self.charge(5000, captured=False, amount_captured=0),
                "failed": lambda: self.charge(status="failed", paid=False, captured=False, amount_captured=0),
                "intent expanded": lambda: self.charge(5000, payment_intent=self.payment_intent()),
                "legacy": lambda: self.charge(**legacy),
                "legacy refunded": lambda: self.charge(5000, **legacy),
                "legacy uncaptured": lambda: self.charge(captured=False, amount_captured=0, **legacy),
                "legacy part": lambda: self.charge(amount_captured=4000, amount_refunded=1000, **legacy),
                "legacy failed": lambda: self.charge(status="failed", paid=False, amount_captured=0, **legacy),
            }.get(variant, lambda: self.charge(refunded, refunds=refunds))()
        if name == "refund":
            return {
                "part": lambda: self.refund(amount=1000),
                "expanded": lambda: self.refund(charge=self.charge(5000), payment_intent=self.payment_intent()),
                "of charge": lambda: self.refund(payment_intent=None),
                "failed": lambda: self.refund("failed", failure_reason="lost_or_stolen_card",
                                              failure_balance_transaction="txn_3"),
            }.get(variant, lambda: self.refund(variant or "succeeded"))()
        if name == "dispute":
            if variant == "expanded":
                return self.dispute(charge=self.charge(), payment_intent=self.payment_intent())
            return self.dispute(variant or "needs_response")
        return {
            "taxed": lambda: self.session(total=5950, tax=950),
            "intent expanded": lambda: self.session(payment_intent=self.payment_intent()),
            # Until 2022-08-01 each session had an intent from the beginning.
            "expired": lambda: self.session("unpaid", is_before(self.version, "2022-11-15"), status="expired"),
            "free": lambda: self.session("no_payment_required", False, amount_total=0, total=0, total_details={
                "amount_discount": 5000, "amount_shipping": 0, "amount_tax": 0}),
        }.get(variant, lambda: self.session(variant or "paid"))()


CLASSES = {"payment_intent": stripe.PaymentIntent, "charge": stripe.Charge, "refund": stripe.Refund,
           "dispute": stripe.Dispute, "checkout.session": stripe.checkout.Session}


def event(job):
    """The body of a snapshot event: a dictionary."""
    shop = Shop(job["version"], job["number"], job["order"], job["created"])
    thing = {
        "id": job["id"], "object": "event", "api_version": job["version"], "created": job["created"],
        "data": {"object": shop.object(job["shape"])}, "livemode": True, "pending_webhooks": 2,
        # Events that no request of the shop caused have no request, or one without ids.
        "request": [None, {"id": None, "idempotency_key": None}, {"id": "req_1", "idempotency_key": "k"}][job["created"] % 3],
        "type": job["type"],
    }
    if job["type"].endswith((".updated", ".captured", ".refunded")):
        thing["data"]["previous_attributes"] = {"status": "pending"}
    if job["created"] % 2:
        thing.update(account="acct_1")
    return thing


def thin_event(job):
    """The body of a thin event about the same."""
    shop = Shop(job["version"], job["number"], job["order"], job["created"])
    about = shop.object(job["shape"])
    return {
        "id": job["id"], "object": "v2.core.event", "type": f"v1.{job['type']}", "livemode": True,
        "created": "2026-11-26T07:00:00.000Z", "context": None, "reason": {"type": "request", "request": {
            "id": "req_1", "idempotency_key": "k"}},
        "related_object": {"id": about["id"], "type": about["object"], "url": f"/v1/things/{about['id']}"},
    }
