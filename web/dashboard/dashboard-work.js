// What an operator works with: products and sales, reviews, events, and the search of orders.

import { clock, count, el, money, setText } from "./base.js";

const $ = (id) => document.getElementById(id);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const perPage = 50;

/** A duration: `4:07`, `1:02:03`, or `2 d 1:02:03`. */
export function age(ms) {
  const days = Math.floor(ms / 86400000);
  return days > 0 ? `${days} d ${clock(ms % 86400000)}` : clock(ms);
}

/** An instant as this reader writes it: the time, and the day where it is another one. */
export function when(iso) {
  if (!iso) return "–";
  const date = new Date(iso);
  const time = date.toLocaleTimeString(undefined, { hourCycle: "h23" });
  return date.toDateString() === new Date().toDateString() ? time : `${date.toLocaleDateString()} ${time}`;
}

/** `1 order`, `2 orders`. */
const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

/** A state or a reason in words: `refund_required` is `refund required`. */
export const words = (name) => name.replaceAll("_", " ").replace(".", " ");

/**
 * Makes the children of `list` those of `items`, in place: what stays is not touched, so that focus and selection stay. Where the
 * one with the focus goes, `fallback` gets it.
 */
export function keyed(list, items, keyOf, make, update, fallback) {
  const wanted = new Set(items.map(keyOf));
  let lost = false;
  const known = new Map();
  for (const child of [...list.children]) {
    if (wanted.has(child.dataset.key)) known.set(child.dataset.key, child);
    else {
      lost ||= child.contains(document.activeElement);
      child.remove();
    }
  }
  let place = list.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let element = known.get(key);
    if (!element) {
      element = make(item);
      element.dataset.key = key;
    }
    if (element === place) place = place.nextElementSibling;
    else list.insertBefore(element, place);
    update?.(element, item);
  }
  if (lost && !$("dialog").open) fallback?.focus({ preventScroll: true });
}

// --- Problems ---

const explained = {
  review_resolved: ({ action, actor, note, resolved_at: at }) =>
    `It was resolved before, at ${when(at)}${actor ? ` by ${actor}` : ""}: ${action ?? "a later event settled it"}`
    + `${note ? `, with the note “${note}”` : ""}. That stays.`,
  units_gone: () => "The units of this order came back and are somebody else's now."
    + " Refund the money, or restock and accept then.",
  payment_not_acceptable: () => "This money cannot pay the order: other money pays it, it went back, or the order has no items."
    + " Refund it, or dismiss the review.",
  below_promised: ({ floor }) => `${count(floor)} units are held, pending or sold, so there must be at least as many.`,
  forbidden: () => "This token may look and change nothing.",
};
const unknownOutcome = "Nobody knows whether it was done. Do it again: it is not done twice.";

/** Why a call failed, for people. */
export function problemOf(answer, changes = false) {
  const known = answer.body && explained[answer.code];
  if (known) return known(answer.body);
  const text = answer.problem.charAt(0).toUpperCase() + answer.problem.slice(1);
  return changes && (answer.status === 0 || answer.code === "store_timeout") ? `${text}. ${unknownOutcome}` : text;
}

// --- Dialog ---

const settled = new Set(["review_resolved", "payment_not_acceptable", "forbidden", "review_not_found"]);

/** Counts dialogs, so that a late answer to one that was cancelled leaves another one alone. */
let dialogs = 0;

/** Asks before something changes. `run` makes the call; the dialog stays open and says why where it is refused. */
function confirm({ title, body, action, bad, run, done, fallback }) {
  const dialog = $("dialog"), button = $("dialog-do"), problem = $("dialog-problem"), mine = ++dialogs;
  setText($("dialog-title"), title);
  $("dialog-body").replaceChildren(...body);
  setText(button, action);
  setText($("dialog-cancel"), "Cancel");
  button.className = bad ? "main bad" : "main";
  button.disabled = false;
  problem.hidden = true;
  $("dialog-cancel").onclick = () => dialog.close();
  dialog.onclose = () => { if (!document.activeElement || document.activeElement === document.body) fallback.focus(); };
  dialog.querySelector("form").onsubmit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    problem.hidden = true;
    const answer = await run(), here = mine === dialogs && dialog.open;
    if (here && (answer.ok || answer.left)) dialog.close();
    if (answer.ok) done(answer);
    else if (here && !answer.left) refuse(answer);
  };
  dialog.showModal();
}

/** Says why, and offers another try where that makes sense. */
function refuse(answer) {
  const button = $("dialog-do"), problem = $("dialog-problem");
  button.disabled = settled.has(answer.code);
  setText(problem, problemOf(answer, true));
  problem.hidden = false;
  if (button.disabled) setText($("dialog-cancel"), "Close");
  (button.disabled ? $("dialog-cancel") : button).focus();
}

const field = (label, input, help) => el("label", {}, label, input, help && el("span", { class: "quiet small" }, help));

/** An input for the reason of a change, which the API takes up to 200 bytes of. */
const reasonInput = () => el("input", { maxlength: "200", autocomplete: "off" });
const reasonField = (input) => field("Reason, for the log of events (optional)", input);
const reasonOf = (input) => (input.value.trim() ? { reason: input.value.trim() } : {});

// --- Products ---

const parts = ["available", "held", "pending", "sold"];

/** Makes a bar of units: four parts, and a sentence for who does not see it. */
export function fillBar(bar, units) {
  if (!bar.firstChild) bar.append(...parts.map((part) => el("span", { class: part })));
  const all = parts.reduce((sum, part) => sum + units[part], 0);
  parts.forEach((part, index) => {
    bar.children[index].style.flexGrow = all ? units[part] / all : 0;
    bar.children[index].hidden = !units[part];
  });
  const sentence = `Of ${count(all)} units ${parts.map((part) => `${count(units[part])} ${part}`).join(", ")}`;
  if (bar.getAttribute("aria-label") !== sentence) bar.setAttribute("aria-label", sentence);
}

/** Adds up the units of products. */
function unitsOf(products) {
  const units = { available: 0, held: 0, pending: 0, sold: 0 };
  for (const product of products) for (const part of parts) units[part] += product[`${part}_stock`];
  return units;
}

const catalogMax = 20000;

/** The catalogue of all products, of which only those on the page are asked for again and again. */
export class Products {
  #page;
  #fresh;
  #catalog = new Map();
  /** The catalogue that is being read. */
  #next = null;
  #whole = false;
  #readAt = 0;
  #dirty = true;
  #first = 0;
  #shown = [];

  constructor(page) {
    this.#page = page;
    this.#fresh = page.repeat(() => this.#refresh(), 2000);
    page.onEvent((event) => this.#heard(event));
    this.#listen();
  }

  /** Reads all again: an event was missed. */
  missed() { this.#dirty = true; }

  tick() { for (const row of $("product-rows").children) this.#showRelease(row); }

  reset() {
    [this.#catalog, this.#next, this.#whole, this.#readAt, this.#dirty, this.#first] = [new Map(), null, false, 0, true, 0];
    $("product-rows").replaceChildren();
  }

  #listen() {
    const changed = () => { this.#first = 0; this.#render(); this.#fresh.soon(); };
    let typed = null;
    for (const input of [$("product-text"), $("product-sale")]) {
      input.oninput = () => { clearTimeout(typed); typed = setTimeout(changed, 200); };
    }
    $("product-filter").onsubmit = (event) => { event.preventDefault(); changed(); };
    for (const button of $("product-pages").querySelectorAll("button")) {
      button.onclick = () => {
        this.#first = Math.max(0, this.#first + perPage * Number(button.dataset.by));
        this.#render();
        this.#fresh.soon();
      };
    }
  }

  /** Asks for what is on the page, and for all where an event was missed. */
  async #refresh() {
    if (this.#dirty || Date.now() - this.#readAt > this.#goodMs()) this.#readAll();
    const asked = this.#catalog.size <= perPage ? [...this.#catalog.values()] : this.#shown;
    if (!asked.length) return 500;
    const ids = asked.map((product) => product.id);
    const answer = await this.#page.ask(`/api/admin/products?archived=false&limit=100&ids=${ids.join(",")}`);
    if (answer.left) return 0;
    if (!answer.ok) {
      this.#say(problemOf(answer));
      return (answer.retrySeconds ?? 5) * 1000;
    }
    const alive = new Set(answer.body.data.map((product) => product.id));
    for (const id of ids) if (!alive.has(id)) this.#catalog.delete(id);
    for (const product of answer.body.data) this.#put(product);
    this.#render();
    // Each sale is a call of its own in Redis.
    return new Set(asked.map((product) => product.sale)).size > 10 ? 5000 : 2000;
  }

  /** How long a catalogue is good for: less long where nothing else knows the units of all products. */
  #goodMs() {
    if (!this.#page.needsUnits()) return 600000;
    return this.#catalog.size > 5000 ? 300000 : 60000;
  }

  /** Reads all pages, with pauses: names are searched here, for the API has no search. */
  async #readAll() {
    if (this.#next) return;
    const next = this.#next = new Map();
    this.#dirty = false;
    const end = await this.#readPages(next);
    if (next !== this.#next) return; // another session
    this.#next = null;
    if (end) [this.#catalog, this.#whole, this.#readAt] = [next, end.whole, Date.now()];
    else this.#dirty = true;
    this.#render();
  }

  /** Reads page after page, quickly as long as nobody sees anything. `null` where one cannot be had, tried again as it may be. */
  async #readPages(next) {
    let cursor = "", failures = 0;
    while (cursor !== null && next.size < catalogMax) {
      const query = cursor && `&cursor=${encodeURIComponent(cursor)}`;
      const answer = await this.#page.ask(`/api/admin/products?archived=false&limit=100${query}`);
      if (next !== this.#next || answer.left || (!answer.ok && ++failures > 5)) return null;
      if (!answer.ok) {
        await pause((answer.retrySeconds ?? 2) * 1000);
        continue;
      }
      failures = 0;
      for (const product of answer.body.data) next.set(product.id, product);
      cursor = answer.body.next_cursor;
      const early = !this.#readAt && this.#catalog.size < next.size;
      if (early) this.#catalog = new Map(next);
      if (early && next.size <= 100) this.#render();
      else this.#note();
      if (cursor) await pause(early ? 50 : 400);
    }
    return { whole: cursor === null };
  }

  #put(product) {
    this.#catalog.set(product.id, product);
    if (this.#next?.has(product.id)) this.#next.set(product.id, product);
  }

  /** Takes what the log of events says about products, so that nobody reads all again. */
  #heard({ type, at, product }) {
    if (!product || !type.startsWith("product.") || Date.parse(at) < this.#page.startedAt) return;
    for (const catalog of [this.#catalog, this.#next]) {
      if (type === "product.deleted" || product.archived) catalog?.delete(product.id);
      else catalog?.set(product.id, product);
    }
    this.#renderSoon();
  }

  #planned = null;
  #renderSoon() {
    this.#planned ??= setTimeout(() => { this.#planned = null; this.#render(); }, 500);
  }

  #matching() {
    const wanted = $("product-text").value.trim().toLowerCase(), sale = $("product-sale").value.trim().toLowerCase();
    const fits = (product) => String(product.id) === wanted || product.name.toLowerCase().includes(wanted)
      || product.sku?.toLowerCase().includes(wanted);
    const inSale = (product) => product.sale === sale || (!this.#page.sales.has(sale) && product.sale.includes(sale));
    return [...this.#catalog.values()].filter((product) => (!sale || inSale(product)) && (!wanted || fits(product)))
      .sort((a, b) => a.id - b.id);
  }

  #render() {
    const found = this.#matching(), title = $("products-title");
    this.#first = Math.min(this.#first, Math.max(0, Math.floor((found.length - 1) / perPage) * perPage));
    this.#shown = found.slice(this.#first, this.#first + perPage);
    const make = () => this.#makeRow(), update = (row, product) => this.#updateRow(row, product);
    keyed($("product-rows"), this.#shown, (product) => String(product.id), make, update, title);
    this.#showPages(found.length);
    this.#note(found.length);
    this.#offerSales();
    // `at` is absent where all of them are asked for again and again.
    const at = this.#catalog.size > perPage ? this.#readAt : undefined;
    this.#page.units(this.#whole ? { ...unitsOf(this.#catalog.values()), at } : null);
  }

  #showPages(found) {
    const [back, range, forth] = $("product-pages").children, first = this.#first;
    $("product-pages").hidden = found <= perPage;
    setText(range, `${count(Math.min(first + 1, found))} to ${count(first + this.#shown.length)} of ${count(found)}`);
    back.disabled = first === 0;
    forth.disabled = first + perPage >= found;
  }

  #note(found = null) {
    const filtered = $("product-text").value.trim() || $("product-sale").value.trim();
    if (!this.#readAt && this.#next) return this.#say(`Reading products: ${count(this.#next.size)} …`);
    if (found === null) return;
    const all = this.#whole ? "" : `, of the first ${count(this.#catalog.size)}`;
    if (!this.#catalog.size) this.#say("There are no products.");
    else this.#say(filtered ? `${count(found)} found${all}` : `${plural(found, "product")}${all}`);
  }

  #say(sentence) { setText($("product-note"), sentence); }

  #offerSales() {
    const sales = new Set();
    for (const product of this.#catalog.values()) sales.add(product.sale);
    this.#page.sales = sales;
    const list = $("sale-names"), offered = [...sales].slice(0, 300);
    if (list.children.length !== offered.length) list.replaceChildren(...offered.map((id) => el("option", { value: id })));
  }

  #makeRow() {
    const cell = (name, ...content) => el("td", { role: "cell", "data-label": name }, ...content);
    const is = {
      name: el("b"), about: el("span", { class: "quiet small" }), sale: el("span"), status: el("span", { class: "chip" }),
      bar: el("div", { class: "bar", role: "img" }), price: el("span"), release: el("span"),
      numbers: parts.map((part) => el("span", { class: part }, el("b"), ` ${part}`)),
      restock: el("button", { class: "small", type: "button", onclick: () => this.#askRestock(row.product) }, "Restock"),
      toggle: el("button", { class: "small", type: "button", onclick: () => this.#askPause(row.product) }),
    };
    const row = el("tr", { role: "row" },
      el("th", { scope: "row", role: "rowheader" }, is.name, is.about), cell("Sale", is.sale, is.status), cell("Price", is.price),
      cell("Units", is.bar, el("p", { class: "numbers", "aria-hidden": "true" }, is.numbers)), cell("Next release", is.release),
      cell("", el("div", { class: "buttons", "data-changes": true }, is.restock, is.toggle)));
    row.parts = is;
    return row;
  }

  #updateRow(row, product) {
    const is = row.parts, units = unitsOf([product]), visibility = product.visibility === "public" ? null : product.visibility;
    row.product = product;
    setText(is.name, product.name);
    setText(is.about, [`#${product.id}`, product.sku, product.group, visibility].filter(Boolean).join(" · "));
    setText(is.sale, product.sale);
    setText(is.status, product.status);
    is.status.dataset.status = product.status;
    setText(is.price, money(product.price, product.currency));
    fillBar(is.bar, units);
    parts.forEach((part, index) => setText(is.numbers[index].firstChild, count(units[part])));
    setText(is.toggle, product.status === "paused" ? "Resume" : "Pause");
    is.toggle.hidden = product.status === "ended";
    is.restock.setAttribute("aria-label", `Restock ${product.name}`);
    is.toggle.setAttribute("aria-label", `${is.toggle.textContent} sale ${product.sale}`);
    this.#showRelease(row);
  }

  #showRelease({ product, parts: { release } }) {
    const left = product.next_release_at ? Date.parse(product.next_release_at) - this.#page.redisNow() : null;
    setText(release, left === null ? "–" : left > 0 ? `in ${age(left)}` : "now");
  }

  #askRestock(product) {
    const delta = el("input", { type: "number", required: true, step: "1", autocomplete: "off", inputmode: "numeric" });
    const reason = reasonInput(), keys = new Map(), outcome = el("p");
    delta.oninput = () => {
      const now = this.#catalog.get(product.id) ?? product, by = Number(delta.value);
      setText(outcome, !delta.value || !Number.isInteger(by) ? "" : `${count(now.total_stock)} units in total become `
        + `${count(now.total_stock + by)}, and ${count(now.available_stock + by)} of them are available.`);
    };
    confirm({
      title: `Restock ${product.name}?`,
      body: [field("Units to add", delta, "A minus takes units away that are available."), outcome, reasonField(reason)],
      action: "Restock",
      run: () => this.#restock(product, { delta: Number(delta.value), ...reasonOf(reason) }, keys),
      done: ({ body }) => {
        this.#put(body);
        this.#render();
        this.#page.say(`${product.name} was restocked: ${count(body.total_stock)} units in total.`);
      },
      fallback: $("products-title"),
    });
  }

  /** Restocks with one key for one wish: after an answer that got lost it counts once, and another wish is another one. */
  #restock(product, body, keys) {
    const wish = JSON.stringify(body);
    if (!keys.has(wish)) keys.set(wish, randomKey());
    const headers = { "idempotency-key": keys.get(wish) };
    return this.#page.ask(`/api/admin/products/${product.id}/restock`, { method: "POST", body, headers });
  }

  #askPause({ name, sale, status }) {
    const resume = status === "paused", reason = reasonInput();
    const others = [...this.#catalog.values()].filter((other) => other.sale === sale).length - 1;
    const which = others > 0 ? `${name} and ${plural(others, "other product")} of this sale` : name;
    const happens = resume ? `${which} can be held again at once, within the window of the sale.`
      : `Nobody can hold ${which} until somebody resumes the sale. What is held can still be ordered, paid and released.`;
    const path = `/api/admin/sales/${encodeURIComponent(sale)}`;
    confirm({
      title: `${resume ? "Resume" : "Pause"} sale ${sale}?`,
      body: [el("p", {}, happens), reasonField(reason)],
      action: resume ? "Resume the sale" : "Pause the sale",
      run: () => this.#page.ask(path, { method: "PATCH", body: { paused: !resume, ...reasonOf(reason) } }),
      done: () => {
        this.#page.say(`Sale ${sale} was ${resume ? "resumed" : "paused"}.`);
        this.#fresh.soon();
      },
      fallback: $("products-title"),
    });
  }
}

/** A key that nobody else has. `randomUUID` is missing where a page came without TLS. */
function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `dashboard-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

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
const reasonWords = (reason) => reasons[reason] ?? unknownReason;
const capital = (word) => `${word[0].toUpperCase()}${word.slice(1)}`;

function amountOf({ amount, currency, stated_amount: stated }) {
  if (amount !== null) return money(amount, currency);
  return stated ? `“${stated}”, which nobody could read` : "an amount that no event says";
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

/** The open reviews, the oldest first. */
export class Reviews {
  #page;
  #fresh;

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

  reset() { $("review-list").replaceChildren(); }

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
        return (answer.retrySeconds ?? 5) * 1000;
      }
      open.push(...answer.body.data);
      cursor = answer.body.next_cursor;
    } while (cursor && ++pages < reviewPages);
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

// --- Events ---

const stepMs = 10000, eventsKept = 200, eventsRead = 1000, behindMax = 4;

/** The log of events, newest first. It also counts them by type, for the last 15 minutes. */
export class Events {
  #page;
  #cursor = null;
  #kept = [];
  #paused = false;
  #newer = 0;
  #behind = 0;
  #counts = new Map();
  #since = null;

  constructor(page) {
    this.#page = page;
    page.repeat(() => this.#refresh(), 2000);
    $("event-kind").onchange = () => this.#render();
    $("event-pause").onclick = () => this.#pause();
  }

  /** Since when this page has read all events. */
  get since() { return this.#since; }

  /** How many events of a type came in the last `ms`. */
  counted(type, ms) {
    const from = (this.#page.redisNow() - ms) / stepMs;
    let all = 0;
    for (const [step, counts] of this.#counts) if (step + 1 > from) all += counts[type] ?? 0;
    return all;
  }

  reset() {
    [this.#cursor, this.#kept, this.#newer, this.#behind, this.#counts, this.#since] = [null, [], 0, 0, new Map(), null];
    $("event-list").replaceChildren();
  }

  #pause() {
    this.#paused = !this.#paused;
    this.#newer = 0;
    $("event-pause").setAttribute("aria-pressed", String(this.#paused));
    setText($("event-pause"), this.#paused ? "Resume" : "Pause");
    this.#render();
  }

  async #refresh() {
    // A long wait that ends at once is no wait, so it polls while much happens.
    const busy = this.#kept.length > 0 && this.#page.redisNow() - Date.parse(this.#kept[0].at) < 3000;
    const wait = document.hidden || busy ? 0 : 20;
    const answer = await this.#read(wait);
    if (answer.left) return 0;
    if (!answer.ok) return this.#failed(answer);
    this.#behind = answer.body.more ? this.#behind + 1 : 0;
    this.#cursor = answer.body.next_cursor;
    if (answer.body.missing.length) this.#page.missedEvents();
    this.#take(answer.body.data);
    return answer.body.more ? 100 : wait ? 500 : 2000;
  }

  #read(wait) {
    if (this.#cursor === null) return this.#begin();
    if (this.#behind >= behindMax) return this.#skip();
    const query = `after=${encodeURIComponent(this.#cursor)}&limit=${eventsRead}${wait ? `&wait=${wait}` : ""}`;
    return this.#page.ask(`/api/admin/events?${query}`, { timeoutMs: 40000 });
  }

  /** Finds a place to begin: as far back as one answer can say, for the log is read forwards only. */
  async #begin() {
    let answer = null;
    for (const minutes of [1440, 60, 10, 2]) {
      const since = Math.round(this.#page.redisNow() - minutes * 60000);
      answer = await this.#page.ask(`/api/admin/events?since=${since}&limit=${eventsRead}`);
      if (!answer.ok) break;
      this.#since = since;
      if (!answer.body.more) break;
    }
    return answer;
  }

  /** Leaves events out: more come than anybody reads. */
  async #skip() {
    const answer = await this.#page.ask("/api/admin/events?after=latest");
    if (answer.ok) {
      this.#since = this.#page.redisNow();
      this.#take([{ id: `left out ${this.#since}`, at: new Date(this.#since).toISOString(), leftOut: true }]);
      this.#page.missedEvents();
    }
    return answer;
  }

  #failed(answer) {
    if (answer.code === "cursor_expired" || answer.status === 422) this.#cursor = null;
    setText($("event-note"), problemOf(answer));
    $("event-note").hidden = false;
    return (answer.retrySeconds ?? 5) * 1000;
  }

  #take(came) {
    for (const event of came.filter((one) => !one.leftOut)) {
      this.#count(event);
      this.#page.heard(event);
    }
    if (came.length) this.#kept = [...came.slice(-eventsKept).reverse(), ...this.#kept].slice(0, eventsKept);
    this.#newer = this.#paused ? this.#newer + came.length : 0;
    this.#render();
  }

  #count(event) {
    const step = Math.floor(Date.parse(event.at) / stepMs);
    if (!this.#counts.has(step)) this.#counts.set(step, {});
    const counts = this.#counts.get(step);
    counts[event.type] = (counts[event.type] ?? 0) + 1;
    for (const old of this.#counts.keys()) if (old < step - 900000 / stepMs - 1) this.#counts.delete(old);
  }

  #render() {
    const nothing = this.#kept.length ? "" : "Nothing happened yet.";
    const note = this.#paused ? `Paused, with ${plural(this.#newer, "newer event")}.` : nothing;
    setText($("event-note"), note);
    $("event-note").hidden = !note;
    if (this.#paused) return;
    const kinds = $("event-kind").value.split(" ");
    const wanted = this.#kept.filter((event) => event.leftOut || kinds.some((kind) => event.type.startsWith(kind)));
    keyed($("event-list"), wanted, (event) => event.id, (event) => this.#makeRow(event), null, $("events-title"));
  }

  #makeRow(event) {
    const time = el("time", { datetime: event.at }, when(event.at));
    if (event.leftOut) {
      const sentence = "Events were left out: more came than can be read here.";
      return el("li", { class: "event" }, time, el("p", { class: "quiet" }, sentence));
    }
    const who = [event.actor && `by ${event.actor}`, event.reason && `“${event.reason}”`].filter(Boolean).join(": ");
    return el("li", { class: "event", "data-kind": event.type.split(".")[0], "data-type": event.type }, time,
      el("p", {}, el("b", {}, words(event.type)), " ", el("span", { class: "quiet" }, event.sale),
        who && el("span", { class: "who" }, ` ${who}`)),
      el("p", { class: "small" }, ...this.#about(event)));
  }

  /** What an event is about. */
  #about({ order, review, product, change, repair }) {
    if (order) {
      const items = order.items.map((item) => `${count(item.quantity)} × #${item.product_id}`).join(", ");
      const sum = order.total_amount === null ? null : money(order.total_amount, order.currency);
      return [this.#page.orderButton(order.id), " ", [sum, items, order.customer_id].filter(Boolean).join(" · ")];
    }
    if (review) {
      const decided = review.action ? ` ${review.action}${review.note ? `, “${review.note}”` : ""}` : "";
      const link = review.order_id ? this.#page.orderButton(review.order_id) : "";
      return [`${reasonWords(review.reason)[0]}: ${amountOf(review)} `, link, decided];
    }
    return [[product?.name, changesOf(change), repair && "an audit put counters right"].filter(Boolean).join(": ")];
  }
}

/** What an admin changed: `paused false → true`. */
function changesOf(change) {
  const text = (value) => value === null || value === undefined ? "nothing"
    : typeof value === "object" ? JSON.stringify(value) : String(value);
  return Object.entries(change ?? {}).map(([name, { from, to }]) => `${words(name)} ${text(from)} → ${text(to)}`).join(", ");
}

// --- Orders ---

const orderRequests = 10;
const orderHint = "An order id, a payment id, the id of a customer, or a SKU.";

/** The search of orders by any id that an operator is given. */
export class Orders {
  #page;
  #query = null;
  #cursor = null;
  #shown = new Map();
  /** Counts searches, so that a late answer to an earlier one is left. */
  #turn = 0;

  constructor(page) {
    this.#page = page;
    page.onEvent((event) => this.#heard(event));
    $("order-search").onsubmit = (event) => {
      event.preventDefault();
      const text = $("order-text").value.trim();
      if (text) this.#search(text, $("order-by").value);
    };
    $("order-clear").onclick = () => { this.reset(); $("order-text").focus(); };
    $("order-more").onclick = () => this.#lookFurther();
  }

  /** Shows an order, or what a payment or a customer has, from another part of the page. */
  open(text, by) {
    $("order-text").value = text;
    $("order-by").value = by;
    this.#search(text, by);
    $("orders").scrollIntoView({ block: "start" });
    $("orders-title").focus({ preventScroll: true });
  }

  reset() {
    this.#turn++;
    this.#shown = new Map();
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
      return listed.ok === false ? listed : { ...listed, customer: ok ? body : null, which: "of this customer" };
    },
    sku: async (text) => {
      this.#query = `sku=${encodeURIComponent(text)}`;
      const listed = await this.#look("");
      return listed.ok === false ? listed : { ...listed, which: "with this SKU" };
    },
    any: (text) => this.#searchAny(text),
  };

  /** Tries what the text may be: an order, a payment, a customer, a SKU. */
  async #searchAny(text) {
    if (text.startsWith("order_")) return this.#ways.order(text);
    for (const way of ["payment", "customer", "sku"]) {
      const result = await this.#ways[way](text);
      if (result.orders?.length || result.reviews?.length || result.customer?.sales.length || result.next) return result;
      if (result.ok === false && ![404, 422].includes(result.status)) return result;
    }
    return { orders: [], said: "Nothing was found." };
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
    this.#show(result.ok === false ? { orders: [], said: problemOf(result) } : result);
  }

  #show({ orders, next = null, said, which, reviews = [], customer = null }) {
    this.#shown = new Map(orders.map((order) => [order.id, order]));
    this.#cursor = next;
    $("order-more").hidden = next === null;
    this.#say(said ?? `${plural(orders.length, "order")} ${which}${next ? ", so far" : ""}.`);
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
    this.#say(`${plural(this.#shown.size, "order")}${result.next ? ", so far" : ""}.`);
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
  const { action, actor, note, status, opened_at: at } = review;
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
