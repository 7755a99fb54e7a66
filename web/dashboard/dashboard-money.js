// Money: reviews that wait for a decision, and orders with their payments.

import { count, el, money, setText } from "./base.js";
import { $, age, capital, confirm, field, keyed, plural, problemOf, when, words } from "./dashboard-shared.js";

// --- Reviews ---

/** What happened, what to do, and whether this money can pay the order, as `flashsale review show` has it. */
const reasons = {
  amount_mismatch: ["What was captured is not what the order costs",
    "Compare both amounts: accept pays the order, refund ends it. Until the deadline the units stay with the buyer.", true],
  duplicate_payment: ["The order is paid, and this is a second payment for it",
    "Refund one of them at the provider. The event of that refund closes the review.", false],
  refund_mismatch: ["A refund does not fit what is known of its payment",
    "Compare currency and amount with what the provider says, then dismiss.", false],
  partial_refund: ["A part of the money went back, and the order stays paid",
    "If a part was meant, dismiss. If not, refund the rest at the provider, which closes the review.", false],
  refund_failed: ["A refund that was reported did not reach the buyer",
    "Refund again at the provider, which closes the review. Or accept, and the money pays the order again.", true],
  disputed: ["The buyer's bank takes the money back unless the shop wins",
    "Answer the dispute at the provider, and do not ship meanwhile. Winning closes the review.", false],
  dispute_lost: ["The shop lost the dispute, and the bank keeps the money",
    "If nothing was shipped, refund ends the order. Else dismiss.", false],
  hold_expired: ["The money came after the hold was gone, so nobody knows for which units",
    "Refund it at the provider. The event of that refund closes the review.", false],
  units_gone: ["The money came too late, and the units are somebody else's",
    "Refund it at the provider, which closes the review. Or restock, and accept.", true],
  order_cancelled: ["The money came after the order was cancelled",
    "Refund it at the provider, which closes the review. Or accept, if there are units.", true],
  unmatched: ["The money names nothing that this service made",
    "Find out whose it is. An event that names an order closes the review.", false],
};
const unknownReason = ["This page does not know this reason", "Read about it in the documents of the service.", true];
export const reasonWords = (reason) => reasons[reason] ?? unknownReason;

export function amountOf({ amount, currency, stated_amount: stated }) {
  if (amount !== null) return money(amount, currency);
  return stated ? `“${stated}”, which nobody could read` : "an unknown amount (the event carried none)";
}

/** What a decision does, in words. */
function consequence(review, action) {
  const order = review.order_id ? `order ${review.order_id}` : null, sum = amountOf(review);
  if (action === "accept") {
    const costs = review.expected_amount ? `, which costs ${money(review.expected_amount, review.expected_currency)}` : "";
    return `This money, ${sum}, pays ${order}${costs}. The order becomes paid and its units are sold, when they are there.`;
  }
  if (action === "refund") {
    const ends = order ? `The ${order} ends as refund required, unless other money pays it. ` : "";
    return `This money, ${sum}, goes back. ${ends}flashsale moves no money: refund it at your payment provider as well.`;
  }
  const waits = review.reason === "amount_mismatch" && review.payment_due_at;
  const until = waits ? ` The order stays as it is, until its deadline (${when(waits)}) ends it as refund required.` : "";
  return `Nothing changes, and the review is closed.${until}`;
}

const reviewsShown = 50, reviewPages = 5;
const awayWithReviews = "These reviews are from before, and nobody can decide them until the service answers again.";
const awayWithout = "Reviews cannot be read until the service answers again.";

/** The open reviews, the oldest first. */
export class Reviews {
  #page;
  #fresh;
  /** Whether they could not be read when they were asked for last. */
  #failed = false;

  constructor(page) {
    this.#page = page;
    this.#fresh = page.repeat(() => this.#refresh(), 5000);
    page.onEvent(({ type, at }) => { if (type.startsWith("review.") && Date.parse(at) >= page.startedAt) this.#refreshSoon(); });
  }

  tick() {
    for (const card of $("review-list").children) {
      setText(card.opened, `open for ${age(this.#page.redisNow() - Date.parse(card.review.opened_at))}`);
    }
  }

  reset() {
    this.#failed = false;
    $("review-list").replaceChildren();
  }

  /** Lets nobody decide as long as nothing can be decided, and says so. */
  showAway() {
    const isAway = this.#failed || this.#page.isAway();
    for (const button of $("review-list").querySelectorAll("[data-changes] button")) button.disabled = isAway;
    const known = $("review-list").children.length > 0;
    if (isAway) this.#note(known ? awayWithReviews : awayWithout);
  }

  #planned = null;
  #refreshSoon() {
    this.#planned ??= setTimeout(() => { this.#planned = null; this.#fresh.soon(); }, 500);
  }

  async #refresh() {
    const open = [];
    let cursor = "", pages = 0;
    do {
      const query = cursor && `&cursor=${encodeURIComponent(cursor)}`;
      const answer = await this.#page.ask(`/api/admin/reviews?status=open&limit=100${query}`);
      if (answer.left) return 0;
      if (!answer.ok) {
        this.#note(problemOf(answer));
        // In an overload a decision comes before lists, and may well be answered.
        this.#failed = (answer.status === 0 || answer.status >= 500) && answer.code !== "overloaded";
        this.showAway();
        return (answer.retrySeconds ?? 5) * 1000;
      }
      open.push(...answer.body.data);
      cursor = answer.body.next_cursor;
    } while (cursor && ++pages < reviewPages);
    this.#failed = false;
    this.#render(open.sort((a, b) => a.opened_at.localeCompare(b.opened_at)), !cursor);
    return 5000;
  }

  #note(sentence) {
    setText($("review-note"), sentence);
    $("review-note").hidden = !sentence;
  }

  #render(open, whole) {
    const number = `${count(open.length)}${whole ? "" : "+"}`;
    const update = (card, review) => { card.review = review; };
    const shown = open.slice(0, reviewsShown);
    keyed($("review-list"), shown, (review) => review.id, (review) => this.#makeCard(review), update, $("reviews-title"));
    setText($("review-count"), number);
    $("review-count").hidden = !open.length;
    const some = open.length > reviewsShown ? `The ${reviewsShown} oldest of ${number}.` : "";
    this.#note(open.length ? some : "Nothing waits for a person.");
    this.#page.reviews({ count: open.length, whole, oldest: open[0]?.opened_at ?? null });
    this.tick();
    this.showAway();
  }

  #makeCard(review) {
    const [happened, toDo, canAccept] = reasonWords(review.reason);
    const opened = el("time", { datetime: review.opened_at, title: when(review.opened_at) });
    const button = (action) => el("button", {
      type: "button", class: action === "accept" ? "small main" : "small", onclick: () => this.#ask(card.review, action),
      "aria-label": `${capital(action)}, ${amountOf(review)}, ${words(review.reason)}`,
    }, capital(action));
    const card = el("li", { class: "card review" },
      el("div", { class: "line" }, el("h3", {}, happened), opened), this.#facts(review), el("p", { class: "quiet small" }, toDo),
      el("div", { class: "buttons", "data-changes": true }, canAccept && button("accept"), button("refund"), button("dismiss")));
    card.opened = opened;
    return card;
  }

  #facts(review) {
    const link = (id, by) => id && this.#page.orderButton(id, by);
    const facts = {
      Came: amountOf(review), Costs: review.expected_amount && money(review.expected_amount, review.expected_currency),
      "Went back": review.refunded_amount && money(review.refunded_amount, review.currency),
      Order: link(review.order_id, "order"), Payment: link(review.payment_id, "payment"), Names: review.reference,
      Customer: link(review.customer_id, "customer"),
      Deadline: review.payment_due_at && when(review.payment_due_at), Reason: words(review.reason),
    };
    const known = Object.entries(facts).filter(([, value]) => value);
    return el("dl", { class: "facts" }, known.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
  }

  #ask(review, action) {
    const note = el("textarea", { required: true, maxlength: "1000", rows: "3" });
    confirm({
      title: { accept: "Accept this money?", refund: "Refund this money?", dismiss: "Dismiss this review?" }[action],
      body: [el("p", {}, consequence(review, action)), field("Note: why you decide so", note, "It stays with the review.")],
      action: { accept: "Accept the money", refund: "Decide to refund", dismiss: "Dismiss the review" }[action],
      bad: action === "refund",
      run: async () => {
        const path = `/api/admin/reviews/${encodeURIComponent(review.id)}/resolve`;
        const answer = await this.#page.ask(path, { method: "POST", body: { action, note: note.value } });
        if (answer.code === "review_resolved") this.#fresh.soon();
        return answer;
      },
      done: () => { this.#page.say(`The review was resolved: ${action}.`); this.#fresh.soon(); },
      fallback: $("reviews-title"),
    });
  }
}

// --- Orders ---

const orderRequests = 10, perPage = 50;
const orderHint = "An order id, a payment id, the id of a customer, or a SKU.";
const which = { customer: "of this customer", sku: "with this SKU" };
const nothingFound = {
  order: "No order has this id.", payment: "No order has this payment.", customer: "No order is of this customer.",
  sku: "No order has this SKU.", any: "No order, payment, customer or SKU is called so.",
};
/** What the API answers where it knows nothing of this name, or where nothing can have it. */
const isUnknown = ({ ok, status }) => ok === false && [404, 422].includes(status);

/** The search of orders by any id that an operator is given. */
export class Orders {
  #page;
  #query = null;
  #cursor = null;
  #shown = new Map();
  #by = "any";
  /** What another part of the page looked for, which stays what it is while its text is there. */
  #opened = null;
  /** Counts searches, so that a late answer to an earlier one is left. */
  #turn = 0;

  constructor(page) {
    this.#page = page;
    page.onEvent((event) => this.#heard(event));
    $("order-search").onsubmit = (event) => {
      event.preventDefault();
      const text = $("order-text").value.trim();
      if (text) this.#search(text, text === this.#opened?.text ? this.#opened.by : $("order-by").value);
    };
    $("order-by").onchange = () => { this.#opened = null; };
    $("order-clear").onclick = () => { this.reset(); $("order-text").focus(); };
    $("order-more").onclick = () => this.#lookFurther();
  }

  /** Shows an order, or what a payment or a customer has, from another part of the page. What the next search is for stays. */
  open(text, by) {
    $("order-text").value = text;
    this.#opened = { text, by };
    this.#search(text, by);
    $("orders").scrollIntoView({ block: "start" });
    $("orders-title").focus({ preventScroll: true });
  }

  reset() {
    this.#turn++;
    [this.#shown, this.#opened] = [new Map(), null];
    $("order-found").replaceChildren();
    $("order-more").hidden = $("order-clear").hidden = true;
    $("order-text").value = "";
    this.#say(orderHint);
  }

  #say(sentence) { setText($("order-note"), sentence); }

  #ways = {
    order: async (text) => {
      const answer = await this.#page.ask(`/api/admin/orders/${encodeURIComponent(text)}`);
      return answer.ok ? { orders: [answer.body], said: "One order has this id." } : answer;
    },
    payment: async (text) => {
      const answer = await this.#page.ask(`/api/admin/payments/${encodeURIComponent(text)}`);
      if (!answer.ok) return answer;
      const { orders, reviews } = answer.body;
      const said = `This payment names ${plural(orders.length, "order")} and has ${plural(reviews.length, "review")}.`;
      return { orders, reviews, said };
    },
    customer: async (text) => {
      this.#query = `customer_id=${encodeURIComponent(text)}`;
      const asked = this.#page.ask(`/api/admin/customers/${encodeURIComponent(text)}`);
      const [listed, { ok, body }] = [await this.#look(""), await asked];
      return listed.ok === false ? listed : { ...listed, customer: ok ? body : null };
    },
    sku: async (text) => {
      this.#query = `sku=${encodeURIComponent(text)}`;
      const listed = await this.#look("");
      return isUnknown(listed) ? { orders: [], unknown: true, said: `${nothingFound.sku} No product has it either.` } : listed;
    },
    any: (text) => this.#searchAny(text),
  };

  /** Tries what the text may be: an order, a payment, a customer, a SKU. */
  async #searchAny(text) {
    if (text.startsWith("order_")) return { ...await this.#ways.order(text), by: "order" };
    let unasked = null;
    for (const by of ["payment", "customer", "sku"]) {
      const result = await this.#ways[by](text);
      if (result.orders?.length || result.reviews?.length || result.customer?.sales.length || result.next) return { ...result, by };
      if (result.unaskable) unasked = result;
      else if (result.ok === false && !isUnknown(result)) return result;
      // A product has this SKU, and nothing else has this name.
      if (by === "sku" && !result.unknown) return { ...result, by };
    }
    // Nobody can say that nothing has this name.
    return unasked ?? { orders: [] };
  }

  /** Reads pages of a list, which may be short or empty and still go on, until enough is found. */
  async #look(from) {
    const orders = [];
    let next = from;
    for (let request = 0; request < orderRequests && next !== null && orders.length < perPage; request++) {
      const cursor = next && `&cursor=${encodeURIComponent(next)}`;
      const answer = await this.#page.ask(`/api/admin/orders?${this.#query}&limit=${perPage}${cursor}`);
      if (!answer.ok) return answer;
      orders.push(...answer.body.data);
      next = answer.body.next_cursor;
    }
    return { orders, next };
  }

  async #search(text, by) {
    const mine = ++this.#turn;
    this.#say("Searching …");
    const result = await this.#ways[by](text);
    if (mine !== this.#turn || result.left) return;
    $("order-clear").hidden = false;
    this.#by = result.by ?? by;
    if (isUnknown(result)) this.#show({ orders: [] });
    else this.#show(result.ok === false ? { orders: [], said: problemOf(result) } : result);
  }

  /** Says how many orders were found, or that nothing has this name. */
  #sayFound(next) {
    const number = this.#shown.size, how = which[this.#by] ?? "";
    if (!number && next === null) return this.#say(nothingFound[this.#by]);
    this.#say(`${number ? plural(number, "order") : "No order"} ${how}${next === null ? "" : ", so far"}.`);
  }

  #show({ orders, next = null, said, reviews = [], customer = null }) {
    this.#shown = new Map(orders.map((order) => [order.id, order]));
    this.#cursor = next;
    $("order-more").hidden = next === null;
    if (said) this.#say(said);
    else this.#sayFound(next);
    $("order-found").replaceChildren(...customerFacts(customer), ...reviews.map(reviewLine),
      ...orders.map((order) => this.#makeOrder(order, orders.length === 1)));
  }

  async #lookFurther() {
    const more = $("order-more"), mine = this.#turn;
    more.disabled = true;
    const result = await this.#look(this.#cursor);
    more.disabled = false;
    if (mine !== this.#turn || result.left) return;
    if (result.ok === false) return this.#say(problemOf(result));
    this.#cursor = result.next;
    for (const order of result.orders) {
      if (!this.#shown.has(order.id)) $("order-found").append(this.#makeOrder(order, false));
      this.#shown.set(order.id, order);
    }
    this.#sayFound(result.next);
    if (result.next === null) $("orders-title").focus({ preventScroll: true });
    more.hidden = result.next === null;
  }

  #makeOrder(order, open) {
    const status = el("span", { class: "chip" }), sum = el("b"), body = el("div", { class: "order-body" });
    const box = el("details", { class: "card order", open, "data-order": order.id }, el("summary", {},
      el("code", {}, order.id), status, sum, el("span", { class: "quiet" }, order.customer_id ?? "no customer id"),
      el("time", { class: "quiet", datetime: order.created_at }, when(order.created_at))), body);
    box.update = (now) => {
      setText(status, words(now.status));
      status.dataset.status = now.status;
      setText(sum, now.total_amount === null ? "amount unknown" : money(now.total_amount, now.currency));
      if (box.open) this.#fill(body, now);
    };
    // A box that begins open is toggled too.
    box.ontoggle = () => { if (box.open) this.#fill(body, this.#shown.get(order.id) ?? order); };
    box.update({ ...order });
    return box;
  }

  async #fill(body, order) {
    const lines = el("div");
    body.replaceChildren(orderFacts(order), itemTable(order), paymentTable(order), paymentEvents(order), lines);
    for (const { payment_id: id } of order.payments.filter((payment) => payment.payment_id).slice(0, 5)) {
      const answer = await this.#page.ask(`/api/admin/payments/${encodeURIComponent(id)}`);
      if (answer.ok) lines.append(...answer.body.reviews.map(reviewLine));
    }
  }

  #stale = new Set();
  #planned = null;
  /** Reads an order on the page again when an event is about it. */
  #heard(event) {
    const id = event.order?.id ?? event.review?.order_id;
    if (!this.#shown.has(id)) return;
    this.#stale.add(id);
    this.#planned ??= setTimeout(() => { this.#planned = null; this.#readAgain(); }, 700);
  }

  async #readAgain() {
    const ids = [...this.#stale].slice(0, 10);
    this.#stale.clear();
    for (const id of ids) {
      const answer = await this.#page.ask(`/api/admin/orders/${encodeURIComponent(id)}`);
      if (!answer.ok || !this.#shown.has(id)) continue;
      this.#shown.set(id, answer.body);
      $("order-found").querySelector(`[data-order="${id}"]`)?.update(answer.body);
    }
  }
}

/** Why a customer's next hold would be refused, and what counts for them. */
function customerFacts(customer) {
  const refused = (hold) => `The next hold would be refused: ${hold.detail}`;
  const line = ({ name, held, pending, bought, next_hold: hold }) => el("li", {},
    `${name}: ${count(held)} held, ${count(pending)} pending, ${count(bought)} bought`, hold && `. ${refused(hold)}`);
  return (customer?.sales ?? []).slice(0, 10).map((sale) => el("div", { class: "card" },
    el("h3", {}, `${customer.customer_id} in sale ${sale.sale}`), sale.next_hold && el("p", {}, refused(sale.next_hold)),
    el("ul", {}, sale.products.map(line))));
}

function reviewLine(review) {
  const { action, actor, note, status } = review, at = review.resolved_at ?? review.opened_at;
  const decided = action ? `. ${capital(action)}${actor ? ` by ${actor}` : ""}: “${note}”` : "";
  const happened = `${reasonWords(review.reason)[0]}, ${amountOf(review)}`;
  return el("p", { class: "note" }, `Review ${status}, ${when(at)}: ${happened}${decided}`);
}

function orderFacts(order) {
  const sum = (amount) => amount === null || amount === undefined ? null : money(amount, order.currency);
  const time = (at) => at && when(at);
  const facts = {
    Sale: order.sale, Created: time(order.created_at), "Payment due": time(order.payment_due_at),
    "Started to pay": time(order.payment_started_at),
    Paid: order.paid_at && `${when(order.paid_at)}${order.late ? ", late" : ""}`,
    Total: sum(order.total_amount), Captured: sum(order.captured_amount), "Went back": sum(order.refunded_amount),
    Net: sum(order.net_amount), "Paid by": order.payment_id, Hold: order.hold_id && el("code", {}, order.hold_id),
    Metadata: order.metadata && JSON.stringify(order.metadata),
  };
  const known = Object.entries(facts).filter(([, value]) => value);
  return el("dl", { class: "facts" }, known.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

/** A table of texts, whose first column names the rows. */
function table(caption, heads, lines) {
  if (!lines.length) return el("p", { class: "quiet small" }, `${caption}: none`);
  const cell = (value, index) => el(index ? "td" : "th", index ? {} : { scope: "row" }, value ?? "–");
  const row = (cells) => el("tr", {}, cells.map(cell));
  return el("div", { class: "scroll-x", tabindex: "0", role: "region", "aria-label": caption },
    el("table", {}, el("caption", {}, caption),
      el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))), el("tbody", {}, lines.map(row))));
}

function itemTable(order) {
  return table("Items", ["Product", "SKU", "Units", "Price"], order.items.map((item) =>
    [`#${item.product_id}`, item.sku, count(item.quantity), money(item.unit_price, order.currency)]));
}

function paymentTable(order) {
  const sum = (amount, currency) => amount && money(amount, currency);
  const state = (payment) => ["captured", "in_flight", "declined", "ended"].filter((name) => payment[name]).map(words)
    .concat(payment.dispute ? [`dispute ${payment.dispute}`] : []).join(", ") || "nothing yet";
  return table("Payments", ["Payment", "State", "Captured", "Went back"], order.payments.map((payment) => [
    payment.payment_id ?? "no id", state(payment), sum(payment.captured_amount, payment.currency),
    sum(payment.refunded_amount, payment.currency)]));
}

function paymentEvents(order) {
  const heard = order.payments.flatMap((payment) => payment.events.map((event) => ({ ...event, of: payment.payment_id })));
  const all = [...heard, ...order.shop_events].sort((a, b) => a.received_at.localeCompare(b.received_at));
  const left = order.events_left_out ? `, and ${plural(order.events_left_out, "later one")}` : "";
  return table(`Payment events${left}`, ["Event", "Came at", "Id", "Payment"], all.map((event) => [
    words(event.type) + (event.repeats ? ", said nothing new" : ""), when(event.received_at), event.event_id,
    event.of ?? "the shop's own"]));
}
