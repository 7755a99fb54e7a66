// The shop for trying: stock as it changes, and a purchase from the hold to the receipt.

import { call, clock, count, el, follow, keep, money, service, setText } from "./base.js";
import { hue, loadList, loadMore } from "./storefront-list.js";
import { latePaid, obstacle, onItsWayText, paymentText, plural, refusalText, sentence, statusTexts } from "./storefront-words.js";

const LIST_MS = 4000;
const WAIT_MS = 2000;
/** The longest wait for money that comes late, and how long after the order has lapsed it comes. */
const LATE_MS = 90000, LATE_BY_MS = 1500;
const $ = (id) => document.getElementById(id);

/** What the page knows. `purchase` survives a reload: { product, step, key, quantity, hold, order, said, late }. */
const state = { product: null, stop: null, purchase: null, hasProvider: false, refusal: null, busy: null };

/** Whoever has no name gets one, because products may have a limit for each customer. */
const customer = keep.get("customer") ?? `guest-${crypto.randomUUID?.().slice(0, 8) ?? Math.random().toString(36).slice(2, 10)}`;
keep.set("customer", customer);

// ---- time and notices ----

// As an answer said exactly before a reload. Where the clock of the device was set since, the `Date` of the first answer shows it.
service.aheadMs = Number(keep.get("ahead")) || 0;
const now = () => Date.now() + service.aheadMs;
const until = (instant) => Date.parse(instant) - now();

function announce(text) { setText($("announce"), ""); requestAnimationFrame(() => setText($("announce"), text)); }

function showBanner(text) {
  $("banner").hidden = text === null;
  setText($("banner"), text ?? "");
}

// ---- one product ----

function setStream(word) {
  $("stream").dataset.state = word;
  setText($("stream-text"), { live: "live", away: "connecting", gone: "gone" }[word]);
}

function openProduct(id) {
  state.stop?.();
  state.product = null;
  state.purchase = keep.get(`purchase-${id}`);
  state.refusal = null;
  state.busy = null;
  $("panel").removeAttribute("aria-busy");
  $("detail").classList.add("unknown");
  setStream("away");
  state.stop = follow(`/api/products/${id}/live`, {
    product: showProduct,
    unavailable: () => {
      setStream("away");
      showBanner("The stock cannot be read at the moment. What you hold is safe; this page goes on by itself.");
    },
    gone: () => streamIs("gone"),
  }, streamIs);
}

function streamIs(word) {
  setStream(word);
  if (word === "away") showBanner("The service does not answer. Trying again.");
  if (word === "gone") {
    showBanner(state.product ? "This product is no longer for sale." : "There is no such product.");
    // Who has a hold or an order goes on with it.
    $("detail").classList.toggle("unknown", state.product === null || step() === "choose");
  }
}

function showProduct(product) {
  const isFirst = state.product === null;
  state.product = product;
  showBanner(null);
  setStream("live");
  $("detail").classList.remove("unknown");
  document.title = `${product.name} – flash sale`;
  setText($("product-name"), product.name);
  setText($("product-price"), money(product.price, product.currency));
  $("picture").style.setProperty("--hue", hue(product));
  const parts = ["available", "held", "pending", "sold"].map((name) => [name, product[`${name}_stock`]]);
  setText($("left"), count(product.available_stock));
  setText($("left-text"), `of ${count(product.total_stock)} left`);
  for (const [name, units] of parts) {
    $("bar").querySelector(`.${name}`).style.width = `${product.total_stock ? (100 * units) / product.total_stock : 0}%`;
  }
  showLegend(parts);
  if (isFirst) { showPanel(); $("product-name").focus({ preventScroll: true }); refreshPurchase(); }
  tick();
}

function showLegend(parts) {
  if (!$("legend").children.length) {
    $("legend").append(...parts.map(([name]) => el("li", {}, el("span", { class: `key ${name}`, "aria-hidden": "true" }), el("span"))));
  }
  const words = { available: "available", held: "held", pending: "in unpaid orders", sold: "sold" };
  parts.forEach(([name, units], at) => setText($("legend").children[at].lastChild, `${count(units)} ${words[name]}`));
}

// ---- the purchase ----

const isShown = (id) => state.product?.id === id;

/** Keeps the purchase of a product, which an action began with: the page may show another one by now. */
function keepPurchase(purchase, id = state.product.id) {
  if (isShown(id)) state.purchase = purchase;
  if (purchase) keep.set(`purchase-${id}`, purchase); else keep.drop(`purchase-${id}`);
}

/** Another tab went on with the purchase of the product that is shown. */
function takeFromOtherTab({ key, newValue }) {
  if (state.product === null || key !== `purchase-${state.product.id}` || state.busy) return;
  if (newValue === JSON.stringify(state.purchase)) return;
  state.purchase = keep.get(key);
  showPanel();
}

const step = () => state.purchase?.step ?? "choose";

function showPanel(focus = false) {
  const order = ["choose", "hold", "order", "receipt"];
  for (const item of document.querySelectorAll(".steps li")) {
    const isNow = item.dataset.step === step();
    if (isNow) item.setAttribute("aria-current", "step"); else item.removeAttribute("aria-current");
    item.classList.toggle("done", order.indexOf(item.dataset.step) < order.indexOf(step()));
  }
  const panels = { choose: choosePanel, hold: holdPanel, order: orderPanel, receipt: receiptPanel };
  $("panel").replaceChildren(panels[step()]());
  if (focus) $("panel").querySelector("h2")?.focus();
  tick();
}

function panel(title, ...children) {
  return el("div", { class: "panel" }, el("h2", { id: "purchase-title", tabindex: "-1" }, title), ...children);
}

/** Runs one action at a time, with its buttons out of reach meanwhile. */
async function act(work) {
  if (state.busy) return;
  // A mark of its own: when the work ends, the page may be busy with another product.
  const mine = state.busy = {};
  $("panel").setAttribute("aria-busy", "true");
  for (const button of $("panel").querySelectorAll("button")) button.disabled = true;
  try { await work(); } finally {
    if (state.busy === mine) free();
  }
}

function free() {
  state.busy = null;
  $("panel").removeAttribute("aria-busy");
  for (const button of $("panel").querySelectorAll("button")) button.disabled = button.dataset.far !== undefined;
  tick();
}

/** Asks until somebody decides: an answer of 503, or none, says nothing about what was done, and the key makes a repetition harmless. */
async function decided(path, options) {
  for (let tries = 0; ; tries += 1) {
    const answer = await call(path, options);
    if ((answer.status !== 503 && answer.status !== 429 && answer.status !== 0) || tries === 8) { showBanner(null); return answer; }
    showBanner(`${sentence(answer.problem)} Asking again; nothing is lost.`);
    await new Promise((go) => setTimeout(go, (answer.retrySeconds ?? 1) * 1000 * (0.7 + Math.random() / 2)));
  }
}

function choosePanel() {
  const most = Math.max(1, state.product.max_per_hold);
  const input = el("input", { id: "quantity", type: "number", inputmode: "numeric", min: 1, max: most, value: state.quantity ?? 1 });
  const by = (delta) => () => { input.value = Math.min(most, Math.max(1, (Number(input.value) || 1) + delta)); };
  const form = el("form", {
    class: "panel",
    onsubmit: (event) => { event.preventDefault(); act(() => makeHold(Math.min(most, Math.max(1, Math.floor(Number(input.value)) || 1)))); },
  },
  el("div", {}, el("label", { for: "quantity" }, "How many"), el("div", { class: "amount" },
    el("button", { type: "button", "aria-label": "One fewer", onclick: by(-1) }, "−"), input,
    el("button", { type: "button", "aria-label": "One more", onclick: by(1) }, "+"),
    el("span", { class: "quiet" }, `at most ${count(most)}`))),
  el("div", { class: "actions" }, el("button", { class: "main", id: "hold", type: "submit" }, "Hold for me")),
  el("p", { class: "quiet" }, "A hold sets units aside for you. Nobody else gets them until its time is over."));
  return panel("Choose", el("p", { class: "note", id: "obstacle", hidden: true }), state.refusal, form);
}

async function makeHold(quantity) {
  const { id } = state.product;
  state.quantity = quantity;
  state.refusal = null;
  // The key is kept before the request is sent, so that a reload in between makes no second hold.
  const key = state.purchase?.key && state.purchase.quantity === quantity ? state.purchase.key : crypto.randomUUID?.() ?? `${Math.random()}`;
  keepPurchase({ step: "choose", key, quantity });
  const body = { product_id: id, quantity, customer_id: customer };
  const answer = await decided("/api/holds", { method: "POST", body, headers: { "idempotency-key": key } });
  if (answer.ok) { learnTime(answer.body); keepPurchase({ step: "hold", hold: answer.body }, id); }
  else if (answer.status && answer.status < 500) keepPurchase(null, id);
  if (!isShown(id)) return;
  if (answer.ok) announce(`${plural(quantity, "unit")} held for you.`);
  else state.refusal = el("p", { class: "note bad", role: "alert" }, refusalText(answer));
  showPanel(true);
}

/** The clock of Redis, which decides, may not be that of the service. */
function learnTime({ expires_at, expires_in }) {
  if (expires_in === undefined) return;
  service.aheadMs = Date.parse(expires_at) - expires_in * 1000 - Date.now();
  service.isExact = true;
  keep.set("ahead", service.aheadMs);
}

function countdown(label) {
  return el("div", { class: "panel" },
    el("div", { class: "clock" }, el("span", { class: "time", id: "time", role: "timer", "aria-label": label }), el("span", { class: "quiet" }, label)),
    el("div", { class: "track", "aria-hidden": "true" }, el("i", { id: "rest" })));
}

const lines = (thing) => thing.items.map((item) => `${item.quantity} × ${state.product?.name ?? item.sku ?? `product ${item.product_id}`}`).join(", ");

function holdPanel() {
  const { hold } = state.purchase;
  return panel("Yours for now",
    el("p", {}, `${lines(hold)}, ${money(hold.total_amount, hold.currency)} together.`),
    countdown("until the units go back"),
    el("div", { class: "actions" },
      el("button", { class: "main", id: "order", type: "button", onclick: () => act(makeOrder) }, "Order"),
      el("button", { id: "release", type: "button", onclick: () => act(releaseHold) }, "Give it back")));
}

async function makeOrder() {
  const { id } = state.product, { hold } = state.purchase;
  const answer = await decided("/api/orders", { method: "POST", body: { hold_id: hold.id } });
  const isOver = answer.status === 410 || answer.status === 404;
  if (answer.ok) keepPurchase({ step: "order", hold, order: answer.body, said: [] }, id);
  else if (isOver) dropHold(hold, id);
  if (!isShown(id)) return;
  if (answer.ok) announce("Ordered. Now it waits for your payment.");
  else if (!isOver) return showBanner(sentence(answer.problem));
  showPanel(true);
}

async function releaseHold() {
  const { id } = state.product, { hold } = state.purchase;
  const answer = await decided(`/api/holds/${hold.id}`, { method: "DELETE" });
  const isGone = answer.ok || answer.status === 410;
  if (isGone) keepPurchase(null, id);
  if (!isShown(id)) return;
  if (!isGone) return showBanner(sentence(answer.problem));
  announce("The units are back on sale.");
  showPanel(true);
}

/** The service does not have this hold any more. Where another tab has gone on with the purchase, so does this one. */
function dropHold(hold, id) {
  const kept = keep.get(`purchase-${id}`);
  if (kept && (kept.step !== "hold" || kept.hold.id !== hold.id)) return keepPurchase(kept, id);
  keepPurchase(null, id);
  if (!isShown(id)) return;
  state.refusal = el("p", { class: "note", role: "alert" }, "The time of your hold is over. Its units are back on sale.");
  announce("Your hold is over.");
}

/** Looks what became of a purchase that began before this page was loaded. */
async function refreshPurchase() {
  const { purchase } = state;
  if (!purchase) return;
  if (purchase.step === "choose") return act(() => makeHold(purchase.quantity));
  if (purchase.step === "hold") return refreshHold();
  await refreshOrder();
}

/** Only the service knows whether a hold is over: the clock of this device may be wrong, and another tab may have ordered. */
async function refreshHold() {
  const { id } = state.product, { hold } = state.purchase;
  const answer = await call(`/api/holds/${hold.id}`);
  if (answer.ok) learnTime(answer.body);
  if (!isShown(id) || state.purchase?.hold?.id !== hold.id || step() !== "hold") return;
  if (answer.ok && answer.body.status === "converted") return act(makeOrder);
  if (answer.status === 410 || answer.status === 404) { dropHold(hold, id); showPanel(); }
}

// ---- the order and its payment ----

const OVER = ["paid", "cancelled", "expired", "in_review", "refund_required", "refunded"];

async function refreshOrder() {
  const { purchase } = state;
  const answer = await call(`/api/orders/${purchase.order.id}`);
  if (state.purchase !== purchase) return;
  if (answer.ok) return takeOrder(answer.body);
  if (answer.status !== 404) return;
  keepPurchase(null);
  state.refusal = el("p", { class: "note bad", role: "alert" }, "The shop does not know your order any more: its data is not what it was.");
  showPanel(true);
}

function takeOrder(order) {
  const was = state.purchase.order.status;
  keepPurchase({ ...state.purchase, order, step: OVER.includes(order.status) ? "receipt" : "order" });
  if (was !== order.status) { announce(statusTexts[order.status]?.[0] ?? order.status); showPanel(true); }
}

function orderPanel() {
  const { order, late } = state.purchase;
  const pay = late ? [onItsWay(), log()] : state.hasProvider
    ? [el("h3", {}, "Pay, with a simulated provider"), el("div", { class: "days" }, ...days(order).map(dayButton)), log()]
    : [el("p", { class: "note" }, "Your payment provider sends its event to /api/payments/webhook. This page shows it as soon as it comes."),
      el("p", { class: "id" }, order.id)];
  return panel("Pay",
    el("p", {}, `${lines(order)}: `, el("strong", {}, money(order.total_amount, order.currency))),
    countdown("until the order lapses"), ...pay,
    el("div", { class: "actions" }, el("button", { id: "cancel", type: "button", class: "bad", onclick: () => act(cancelOrder) }, "Cancel the order")));
}

/** The good day, and the bad ones. */
function days(order) {
  const part = (of) => (Number(order.total_amount) * of).toFixed((order.total_amount.split(".")[1] ?? "").length);
  const [more, less] = [part(1.2), part(0.5)];
  return [
    { id: "pay", title: "Pay", small: "all goes well", main: true, wish: { event: "paid" } },
    { id: "declined", title: "Declined", small: "the card is declined; try again", wish: { event: "declined" } },
    { id: "twice", title: "Reported twice", small: "the provider repeats itself", wish: { event: "paid", copies: 2 } },
    { id: "much", title: "Too much", small: `${money(more, order.currency)} come`, wish: { event: "paid", amount: more } },
    { id: "little", title: "Too little", small: `only ${money(less, order.currency)} come`, wish: { event: "paid", amount: less } },
    { id: "late", title: "Late", small: "the money comes after the order has lapsed", wish: { event: "paid" }, isLate: true },
  ];
}

function dayButton(day) {
  const isFar = day.isLate && until(state.purchase.order.payment_due_at) > LATE_MS;
  const small = isFar ? `${day.small}: can be tried in the last ${clock(LATE_MS)} of the time to pay` : day.small;
  return el("button", {
    id: day.id, type: "button", class: day.main ? "main" : "", disabled: isFar, "data-far": isFar,
    onclick: () => act(() => (day.isLate ? payLate(day.wish) : send(day.wish))),
  }, day.title, el("small", {}, small));
}

/** Lets the money come after the order has lapsed. Until then the purchase keeps the wish, also through a reload. */
function payLate(wish) {
  keepPurchase({ ...state.purchase, late: wish });
  announce("The money is on its way. It comes after the order has lapsed.");
  showPanel();
}

const onItsWay = () => el("p", { class: "note", id: "on-its-way" });

let tried = 0;

function tickLate({ order, late }) {
  const wait = until(order.payment_due_at) + LATE_BY_MS;
  if ($("on-its-way")) setText($("on-its-way"), onItsWayText(order, wait));
  if (wait <= 0 && Date.now() - tried > WAIT_MS) { tried = Date.now(); act(() => send(late)); }
}

async function send(wish) {
  const { order } = state.purchase;
  const answer = await call("/demo/payments", { method: "POST", body: { order_id: order.id, ...wish } });
  // The buyer may have gone on to another product.
  if (state.purchase?.order?.id !== order.id) return;
  if (!answer.ok) {
    if (answer.status >= 400 && answer.status < 500) keepPurchase({ ...state.purchase, late: undefined });
    showBanner("The payment could not be reported to the shop. A provider reports it again, and so can you.");
    return showPanel();
  }
  showBanner(null);
  const { sent } = answer.body, said = sent.map((one) => paymentText(one, wish));
  keepPurchase({ ...state.purchase, late: undefined, said: [...(state.purchase.said ?? []), ...said].slice(-8) });
  const last = sent.at(-1).order;
  const isOther = last && last.status !== state.purchase.order.status;
  if (last) takeOrder(last);
  if (!isOther) showPanel();
  announce(said.at(-1));
}

const log = () => el("ul", { class: "log", "aria-label": "What became of the payment" },
  ...(state.purchase.said ?? []).map((line) => el("li", {}, line)));

async function cancelOrder() {
  const { order } = state.purchase;
  const answer = await decided(`/api/orders/${order.id}/cancel`, { method: "POST", body: {} });
  // What became of it is read again when the buyer comes back to it.
  if (state.purchase?.order?.id !== order.id) return;
  if (answer.ok) return takeOrder(answer.body);
  await refreshOrder();
  if (step() === "order") showBanner(sentence(answer.problem));
}

// ---- the receipt ----

function receiptPanel() {
  const { order, late } = state.purchase;
  const [text, kind] = statusTexts[order.status] ?? [order.status, ""];
  const row = (name, value) => value && el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, value));
  const time = (instant) => instant && new Date(instant).toLocaleString();
  return panel(order.status === "paid" ? "Receipt" : "What became of it",
    el("p", { class: `note ${kind}` }, text, order.late && ` ${latePaid(order)}`), late && onItsWay(),
    el("table", { class: "receipt" }, el("tbody", {},
      row("Order", el("span", { class: "id" }, order.id)), row("Items", lines(order)),
      row("Total", money(order.total_amount, order.currency)), row("Ordered", time(order.created_at)), row("Paid", time(order.paid_at)),
      row("State", order.status.replaceAll("_", " ")))),
    log(),
    late ? null : el("div", { class: "actions" }, el("button", { class: "main", id: "again", type: "button", onclick: again }, "Buy another one")));
}

function again() {
  keepPurchase(null);
  state.refusal = null;
  showPanel(true);
}

// ---- time ----

function setCountdown(instant, wholeMs) {
  const time = $("time"), rest = $("rest");
  if (!time) return;
  const left = until(instant);
  setText(time, clock(left));
  time.dataset.soon = left < 10000;
  rest.style.width = `${Math.min(100, Math.max(0, (100 * left) / wholeMs))}%`;
}

let asked = 0;

/** Once a second, and whenever something changes. */
function tick() {
  const { product, purchase } = state;
  if (!product) return;
  const why = obstacle(product, until);
  setText($("window"), product.ends_at && product.status === "live" ? `The sale ends in ${clock(until(product.ends_at))}.` : "");
  if (step() === "choose" && $("hold")) {
    $("obstacle").hidden = why === null;
    setText($("obstacle"), why ?? "");
    if (!state.busy) $("hold").disabled = why !== null;
  }
  if (purchase?.step === "hold") {
    setCountdown(purchase.hold.expires_at, purchase.hold.expires_in * 1000);
    if (until(purchase.hold.expires_at) < -300 && !state.busy && Date.now() - asked > WAIT_MS) { asked = Date.now(); refreshHold(); }
  }
  if (purchase?.step === "order") tickOrder(purchase.order);
  if (purchase?.late) tickLate(purchase);
}

function tickOrder(order) {
  setCountdown(order.payment_due_at, Date.parse(order.payment_due_at) - Date.parse(order.created_at));
  const late = $("late");
  if (late?.dataset.far !== undefined && until(order.payment_due_at) < LATE_MS && !state.busy) showPanel();
  // A payment may come from anywhere, and the deadline passes by itself.
  if (Date.now() - asked > WAIT_MS && !document.hidden) { asked = Date.now(); refreshOrder(); }
}

// ---- begin ----

async function showList(load) {
  const problem = await load();
  if ($("shop").hidden) return;
  showBanner(problem && `The list cannot be read: ${problem}. Trying again.`);
  if (!problem) setStream("live");
}

function route() {
  const id = new URLSearchParams(location.hash.slice(1)).get("product");
  $("shop").hidden = id !== null;
  $("detail").hidden = id === null;
  showBanner(null);
  if (id !== null) {
    // The list may have been scrolled far down.
    scrollTo(0, 0);
    return openProduct(encodeURIComponent(id));
  }
  state.stop?.();
  state.stop = null;
  state.product = null;
  document.title = "Flash sale";
  showList(loadList);
}

async function begin() {
  const parts = (await call("/assets/parts.json")).body ?? {};
  state.hasProvider = parts.simulated_provider ?? false;
  $("to-dashboard").hidden = !parts.dashboard;
  $("more").addEventListener("click", () => showList(loadMore));
  addEventListener("hashchange", route);
  addEventListener("storage", takeFromOtherTab);
  setInterval(tick, 1000);
  setInterval(() => { if (!$("shop").hidden && !document.hidden) showList(loadList); }, LIST_MS);
  route();
}

begin();
