// A whole purchase by the client that openapi-typescript and openapi-fetch make of the document: purchase.ts <url>

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./generated/schema.js";

const api = createClient<paths>({ baseUrl: process.argv[2] });
// What the demo sells: a hundred of one, and five of the other.
const [PRODUCT, SCARCE] = [1, 2];
const key = `typescript-${Date.now()}`;

/** What an answer says, or the problem that it is. */
function said<T>(answer: { data?: T; error?: { code: string; detail: string } }): T {
  assert.ok(answer.data !== undefined, `${answer.error?.code}: ${answer.error?.detail}`);
  return answer.data;
}

const product = said(await api.GET("/api/products/{id}", { params: { path: { id: PRODUCT } } }));
assert.ok(product.available_stock > 0, "something is for sale");

const wish = { product_id: product.id, quantity: 1, customer_id: key };
const body = { params: { header: { "Idempotency-Key": key } }, body: wish };
const hold = said(await api.POST("/api/holds", body));
const replayed = await api.POST("/api/holds", body);
assert.equal(said(replayed).id, hold.id);
assert.equal(replayed.response.headers.get("idempotency-replayed"), "true");

// Somebody takes the last ones. The next buyer is refused with a code that the compiler knows as one of this call.
const { available_stock: left } = said(await api.GET("/api/products/{id}", { params: { path: { id: SCARCE } } }));
if (left > 0) said(await api.POST("/api/holds", { body: { product_id: SCARCE, quantity: left } }));
const soldOut = await api.POST("/api/holds", { body: { product_id: SCARCE, quantity: 1 } });
assert.ok(soldOut.error?.status === 409, "all are gone");
assert.equal(soldOut.error.code, "insufficient_stock");
// @ts-expect-error No hold is refused with this code.
assert.ok(soldOut.error.code !== "review_resolved");
// @ts-expect-error A quantity is a number: the compiler refuses a text, and so does the service.
const asText = await api.POST("/api/holds", { body: { ...wish, quantity: "1" } });
assert.equal(asText.response.status, 422);

const order = said(await api.POST("/api/orders", { body: { hold_id: hold.id } }));
assert.deepEqual([order.status, order.total_amount], ["pending", product.price]);

const payload = { status: "paid", order_id: order.id, payment_id: `pi_${key}`, amount: order.total_amount, currency: order.currency };
const event = said(await api.POST("/api/payments/webhook", { body: { idempotency_key: key, payload } }));
assert.deepEqual([event.outcome, event.order?.status], ["applied", "paid"]);

const paid = said(await api.GET("/api/orders/{id}", { params: { path: { id: order.id } } }));
assert.equal(paid.status, "paid");
console.log(`TypeScript: ${paid.id} is ${paid.status}, ${paid.total_amount} ${paid.currency}`);
