import Stripe from "stripe";

export const stripe = new Stripe(process.env.STRIPE_SECRET_KEY);
const headers = { "Content-Type": "application/json", Authorization: `Bearer ${process.env.FLASHSALE_READ_TOKEN}` };
// Currencies whose amounts have no decimals, or three, in Stripe's API. They are not those of ISO 4217: MGA differs.
const NONE = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF", THREE = "BHD JOD KWD OMR TND";
const sessions = new Map();                                            // order -> session; keep it in your database

async function call(path, body) {
  const request = body ? { headers, method: "POST", body: JSON.stringify(body) } : { headers };
  const answer = await fetch(process.env.FLASHSALE_URL + path, { ...request, signal: AbortSignal.timeout(5000) });
  if (!answer.ok) throw Object.assign(new Error(await answer.text()), { status: answer.status });
  return answer.json();
}

function minorUnits(amount, currency) {                                // "50.00" USD -> 5000, without floats
  const decimals = NONE.includes(currency) ? 0 : THREE.includes(currency) ? 3 : 2;
  const [whole, part = ""] = amount.split(".");
  if (/[1-9]/.test(part.slice(decimals))) throw new Error(`Stripe cannot charge ${amount} ${currency}`);
  return Number(whole + part.slice(0, decimals).padEnd(decimals, "0")); // of three decimals Stripe wants the last to be 0
}

/** Returns where to send the buyer. One hold makes one order and one session, however often this runs. */
export async function checkOut(holdId) {
  const { id } = await call("/api/orders", { hold_id: holdId });       // 410: the hold has lapsed, let the buyer hold again
  const order = await call(`/api/orders/${id}/payment-started`, {});   // 409: it is paid, cancelled or expired
  const session = await stripe.checkout.sessions.create({
    mode: "payment", client_reference_id: id, metadata: { order_id: id },
    payment_intent_data: { metadata: { order_id: id } },               // Stripe does not copy it from the session
    line_items: [{ quantity: 1, price_data: {
      currency: order.currency.toLowerCase(), product_data: { name: `Order ${id}` },
      unit_amount: minorUnits(order.total_amount, order.currency) } }],
    expires_at: Math.floor(Date.parse(order.payment_started_at) / 1000) + 33 * 60,  // Stripe wants at least 30 minutes
    success_url: `https://shop.example/thanks?order=${id}`, cancel_url: "https://shop.example/cart",
  }, { idempotencyKey: id });
  sessions.set(id, session.id);
  return session.url;
}

/** Ends the sessions of orders that ended. Run it each second with the cursor that it returned, at first with "". */
export async function endSessions(cursor) {
  const page = await call("/api/admin/events?types=order.expired,order.cancelled" + (cursor && `&after=${cursor}`));
  for (const { order } of page.data) {
    if (sessions.has(order.id)) {
      await stripe.checkout.sessions.expire(sessions.get(order.id)).catch((error) => {
        if (error.type !== "StripeInvalidRequestError") throw error;   // that: it was paid, or has ended by itself
      });
      sessions.delete(order.id);
    }
  }
  return page.next_cursor;                                             // keep it too, after the work is done
}
