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

// ---------------------------------------------------------------------------------------------------------------- Problems

const explained = {
  review_resolved: ({ action, actor, note, resolved_at: at }) =>
    `It was resolved before, at ${when(at)}${actor ? ` by ${actor}` : ""}: ${action ?? "a later event settled it"}`
    + `${note ? `, with the note “${note}”` : ""}. That stays.`,
  units_gone: () => "The units of this order came back and are somebody else's now. Refund the money, or restock and accept then.",
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

// ---------------------------------------------------------------------------------------------------------------- Dialog

const settled = new Set(["review_resolved", "payment_not_acceptable", "forbidden", "review_not_found"]);

/** Asks before something changes. `run` makes the call; the dialog stays open and says why where it is refused. */
function confirm({ title, body, action, bad, run, done, fallback }) {
  const dialog = $("dialog"), form = dialog.querySelector("form"), button = $("dialog-do"), problem = $("dialog-problem");
  setText($("dialog-title"), title);
  $("dialog-body").replaceChildren(...body);
  setText(button, action);
  setText($("dialog-cancel"), "Cancel");
  button.className = bad ? "main bad" : "main";
  button.disabled = false;
  problem.hidden = true;
  $("dialog-cancel").onclick = () => dialog.close();
  dialog.onclose = () => { if (!document.activeElement || document.activeElement === document.body) fallback.focus(); };
  form.onsubmit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    problem.hidden = true;
    const answer = await run();
    if (answer.left) return dialog.close();
    button.disabled = settled.has(answer.code);
    if (answer.ok) {
      dialog.close();
      done(answer);
    } else {
      setText(problem, problemOf(answer, true));
      problem.hidden = false;
      if (button.disabled) setText($("dialog-cancel"), "Close");
      (button.disabled ? $("dialog-cancel") : button).focus();
    }
  };
  dialog.showModal();
}

const field = (label, input, help) => el("label", {}, label, input, help && el("span", { class: "quiet small" }, help));

/** An input for the reason of a change, which the API takes up to 200 bytes of. */
const reasonInput = () => el("input", { maxlength: "100", autocomplete: "off" });
const reasonField = (input) => field("Reason, for the log of events (optional)", input);
const reasonOf = (input) => (input.value.trim() ? { reason: input.value.trim() } : {});

// ---------------------------------------------------------------------------------------------------------------- Products

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

const unitsOf = (product) => Object.fromEntries(parts.map((part) => [part, product[`${part}_stock`]]));

/** The catalogue of all products, of which only those on the page are asked for again and again. */
export function products(page) {
  const catalogMax = 20000;
  let catalog = new Map(), whole = false, readAt = 0, dirty = true, at = 0, shown = [], reading = 0, reads = false;
  const text = $("product-text"), sale = $("product-sale"), rows = $("product-rows"), title = $("products-title");

  /** Reads all pages, with pauses: names are searched here, for the API has no search. */
  async function readAll() {
    if (reads) return;
    [reads, dirty] = [true, false];
    const session = page.session, ended = await readPages(new Map(), session);
    reads = false;
    reading = 0;
    if (session !== page.session) return;
    if (ended) [catalog, whole, readAt] = [ended.next, ended.whole, Date.now()];
    else dirty = true;
    render();
  }

  /** Reads page after page, quickly as long as nobody sees anything. `null` where one cannot be had. */
  async function readPages(next, session) {
    let cursor = "";
    do {
      const query = cursor && `&cursor=${encodeURIComponent(cursor)}`;
      const answer = await page.ask(`/api/admin/products?archived=false&limit=100${query}`);
      if (!answer.ok || session !== page.session) return null;
      for (const product of answer.body.data) next.set(product.id, product);
      cursor = answer.body.next_cursor;
      const first = !readAt && catalog.size < next.size;
      if (first) catalog = new Map(next);
      reading = cursor && first ? next.size : 0;
      if (first && next.size <= 100) render();
      else note();
      if (cursor) await pause(first ? 50 : 400);
    } while (cursor && next.size < catalogMax);
    return { next, whole: !cursor };
  }

  /** Takes what the log of events says about products, so that nobody reads all again. */
  function heard(event) {
    const product = event.product;
    if (!product || !event.type.startsWith("product.") || Date.parse(event.at) < page.startedAt) return;
    if (event.type === "product.deleted" || product.archived) catalog.delete(product.id);
    else if (whole || catalog.has(product.id)) catalog.set(product.id, product);
    later();
  }

  let planned = null;
  function later() {
    planned ??= setTimeout(() => { planned = null; render(); }, 500);
  }

  function matching() {
    const wanted = text.value.trim().toLowerCase(), inSale = sale.value.trim().toLowerCase();
    return [...catalog.values()].sort((a, b) => a.id - b.id).filter((product) =>
      (!inSale || product.sale === inSale || (!page.sales.has(inSale) && product.sale.includes(inSale)))
      && (!wanted || String(product.id) === wanted || product.name.toLowerCase().includes(wanted)
        || product.sku?.toLowerCase().includes(wanted)));
  }

  function render() {
    const found = matching();
    at = Math.min(at, Math.max(0, Math.floor((found.length - 1) / perPage) * perPage));
    shown = found.slice(at, at + perPage);
    keyed(rows, shown, (product) => String(product.id), makeRow, updateRow, title);
    const [back, range, forth] = $("product-pages").children;
    $("product-pages").hidden = found.length <= perPage;
    setText(range, `${count(Math.min(at + 1, found.length))} to ${count(at + shown.length)} of ${count(found.length)}`);
    back.disabled = at === 0;
    forth.disabled = at + perPage >= found.length;
    note(found.length);
    offerSales();
    page.units(total());
  }

  function note(found = null) {
    if (reading) return say(`Reading products: ${count(reading)} …`);
    const filtered = text.value.trim() || sale.value.trim();
    if (found === null) return;
    const all = whole ? "" : `, of the first ${count(catalog.size)}`;
    say(!catalog.size ? "There are no products." : filtered ? `${count(found)} found${all}` : `${plural(found, "product")}${all}`);
  }

  const say = (sentence) => setText($("product-note"), sentence);

  function offerSales() {
    const sales = new Set();
    for (const product of catalog.values()) sales.add(product.sale);
    page.sales = sales;
    const list = $("sale-names"), offered = [...sales].slice(0, 300);
    if (list.children.length !== offered.length) list.replaceChildren(...offered.map((id) => el("option", { value: id })));
  }

  /** The units of all products, and since when they are known: `at` is absent where all of them are asked for again and again. */
  function total() {
    if (!whole) return null;
    const units = { available: 0, held: 0, pending: 0, sold: 0 };
    for (const product of catalog.values()) for (const part of parts) units[part] += product[`${part}_stock`];
    return { ...units, at: catalog.size > perPage ? readAt : undefined };
  }

  /** How long a catalogue is good for: less long where nothing else knows the units of all products. */
  const goodMs = () => !page.needsUnits() ? 600000 : catalog.size > 5000 ? 300000 : 60000;

  function makeRow() {
    const cell = (name, ...content) => el("td", { role: "cell", "data-label": name }, ...content);
    const name = el("b"), about = el("span", { class: "quiet small" });
    const saleName = el("span"), status = el("span", { class: "chip" });
    const bar = el("div", { class: "bar", role: "img" });
    const numbers = parts.map((part) => el("span", { class: part }, el("b"), ` ${part}`));
    const price = el("span"), release = el("span");
    const restock = el("button", { class: "small", type: "button" }, "Restock");
    const toggle = el("button", { class: "small", type: "button" });
    const row = el("tr", { role: "row" },
      el("th", { scope: "row", role: "rowheader" }, name, about), cell("Sale", saleName, status), cell("Price", price),
      cell("Units", bar, el("p", { class: "numbers", "aria-hidden": "true" }, numbers)), cell("Next release", release),
      cell("", el("div", { class: "buttons", "data-changes": true }, restock, toggle)));
    row.parts = { name, about, saleName, status, bar, numbers, price, release, restock, toggle };
    restock.onclick = () => askRestock(row.product);
    toggle.onclick = () => askPause(row.product);
    return row;
  }

  function updateRow(row, product) {
    const is = row.parts, units = unitsOf(product);
    row.product = product;
    setText(is.name, product.name);
    setText(is.about, [`#${product.id}`, product.sku, product.group, product.visibility === "public" ? null : product.visibility]
      .filter(Boolean).join(" · "));
    setText(is.saleName, product.sale);
    setText(is.status, product.status);
    is.status.dataset.status = product.status;
    setText(is.price, money(product.price, product.currency));
    fillBar(is.bar, units);
    parts.forEach((part, index) => setText(is.numbers[index].firstChild, count(units[part])));
    setText(is.toggle, product.status === "paused" ? "Resume" : "Pause");
    is.toggle.hidden = product.status === "ended";
    is.restock.setAttribute("aria-label", `Restock ${product.name}`);
    is.toggle.setAttribute("aria-label", `${is.toggle.textContent} sale ${product.sale}`);
    showRelease(row);
  }

  function showRelease(row) {
    const left = row.product.next_release_at ? Date.parse(row.product.next_release_at) - page.redisNow() : null;
    setText(row.parts.release, left === null ? "–" : left > 0 ? `in ${age(left)}` : "now");
  }

  function askRestock(product) {
    const delta = el("input", { type: "number", required: true, step: "1", autocomplete: "off", inputmode: "numeric" });
    const reason = reasonInput(), keys = new Map(), outcome = el("p", {});
    delta.oninput = () => {
      const now = rows.querySelector(`[data-key="${product.id}"]`)?.product ?? product, by = Number(delta.value);
      setText(outcome, !delta.value || !Number.isInteger(by) ? "" : `${count(now.total_stock)} units in total become `
        + `${count(now.total_stock + by)}, and ${count(now.available_stock + by)} of them are available.`);
    };
    confirm({
      title: `Restock ${product.name}?`,
      body: [field("Units to add", delta, "A minus takes units away that are available."), outcome, reasonField(reason)],
      action: "Restock",
      run: () => {
        const body = { delta: Number(delta.value), ...reasonOf(reason) }, same = JSON.stringify(body);
        // One key for one wish: after an answer that got lost the same wish counts once, and another one is another wish.
        if (!keys.has(same)) keys.set(same, randomKey());
        const headers = { "idempotency-key": keys.get(same) };
        return page.ask(`/api/admin/products/${product.id}/restock`, { method: "POST", body, headers });
      },
      done: ({ body }) => {
        if (body) catalog.set(body.id, body);
        render();
        page.say(`${product.name} was restocked: ${count(body?.total_stock)} units in total.`);
      },
      fallback: title,
    });
  }

  function askPause(product) {
    const resume = product.status === "paused", reason = reasonInput();
    const others = [...catalog.values()].filter((other) => other.sale === product.sale).length - 1;
    const which = others > 0 ? `${product.name} and the ${count(others)} other products of this sale` : product.name;
    const happens = resume ? `${which} can be held again at once, within the window of the sale.`
      : `Nobody can hold ${which} until somebody resumes the sale. What is held can still be ordered, paid and released.`;
    confirm({
      title: `${resume ? "Resume" : "Pause"} sale ${product.sale}?`,
      body: [el("p", {}, happens), reasonField(reason)],
      action: resume ? "Resume the sale" : "Pause the sale",
      run: () => page.ask(`/api/admin/sales/${encodeURIComponent(product.sale)}`,
        { method: "PATCH", body: { paused: !resume, ...reasonOf(reason) } }),
      done: () => {
        page.say(`Sale ${product.sale} was ${resume ? "resumed" : "paused"}.`);
        fresh.soon();
      },
      fallback: title,
    });
  }

  /** Asks for what is on the page, and for all where an event was missed. */
  async function refresh() {
    if (dirty || Date.now() - readAt > goodMs()) readAll();
    const asked = catalog.size <= perPage ? [...catalog.values()] : shown;
    if (!asked.length) return 500;
    const answer = await page.ask(`/api/admin/products?archived=false&limit=100&ids=${asked.map((product) => product.id).join(",")}`);
    if (answer.left) return 0;
    if (!answer.ok) {
      say(problemOf(answer));
      return (answer.retrySeconds ?? 5) * 1000;
    }
    const alive = new Set(answer.body.data.map((product) => product.id));
    for (const product of asked) if (!alive.has(product.id)) catalog.delete(product.id);
    for (const product of answer.body.data) catalog.set(product.id, product);
    render();
    // Each sale is a call of its own in Redis.
    return new Set(asked.map((product) => product.sale)).size > 10 ? 5000 : 2000;
  }

  const fresh = page.repeat(refresh, 2000);
  const filterChanged = () => { at = 0; render(); fresh.soon(); };
  let typed = null;
  for (const input of [text, sale]) input.oninput = () => { clearTimeout(typed); typed = setTimeout(filterChanged, 200); };
  $("product-filter").onsubmit = (event) => { event.preventDefault(); filterChanged(); };
  for (const button of $("product-pages").querySelectorAll("button")) {
    button.onclick = () => { at = Math.max(0, at + perPage * Number(button.dataset.by)); render(); fresh.soon(); };
  }
  page.onEvent(heard);
  return {
    missed: () => { dirty = true; },
    tick: () => { for (const row of rows.children) showRelease(row); },
    reset: () => { [catalog, whole, readAt, dirty, at] = [new Map(), false, 0, true, 0]; rows.replaceChildren(); },
  };
}

/** A key that nobody else has. `randomUUID` is missing where a page came without TLS. */
function randomKey() {
  return `dashboard-${[...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

// ---------------------------------------------------------------------------------------------------------------- Reviews

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

const amountOf = (review) => review.amount !== null ? money(review.amount, review.currency)
  : review.stated_amount ? `“${review.stated_amount}”, which nobody could read` : "an amount that no event says";

/** What a decision does, in words. */
function consequence(review, action) {
  const order = review.order_id ? `order ${review.order_id}` : "no order of this service";
  if (action === "accept") {
    return `This money, ${amountOf(review)}, pays ${order}${review.expected_amount ? `, which costs `
      + money(review.expected_amount, review.expected_currency) : ""}. It becomes paid and its units are sold, when they are there.`;
  }
  if (action === "refund") {
    return `This money, ${amountOf(review)}, goes back. ${review.order_id ? `The ${order} ends as refund required, unless other money `
      + "pays it. " : ""}flashsale moves no money: refund it at your payment provider as well.`;
  }
  const leaves = review.reason === "amount_mismatch" && review.payment_due_at
    ? ` The order stays as it is, until its deadline (${when(review.payment_due_at)}) ends it as refund required.` : "";
  return `Nothing changes, and the review is closed.${leaves}`;
}

/** The open reviews, the oldest first. */
export function reviews(page) {
  const shownMax = 50, pagesMax = 5, list = $("review-list"), title = $("reviews-title");

  async function refresh() {
    const open = [];
    let cursor = "", pages = 0;
    do {
      const query = cursor && `&cursor=${encodeURIComponent(cursor)}`;
      const answer = await page.ask(`/api/admin/reviews?status=open&limit=100${query}`);
      if (answer.left) return 0;
      if (!answer.ok) {
        setText($("review-note"), problemOf(answer));
        $("review-note").hidden = false;
        return (answer.retrySeconds ?? 5) * 1000;
      }
      open.push(...answer.body.data);
      cursor = answer.body.next_cursor;
    } while (cursor && ++pages < pagesMax);
    render(open.sort((a, b) => a.opened_at.localeCompare(b.opened_at)), !cursor);
    return 5000;
  }

  function render(open, whole) {
    const most = `${count(open.length)}${whole ? "" : "+"}`;
    keyed(list, open.slice(0, shownMax), (review) => review.id, makeCard, updateCard, title);
    setText($("review-count"), most);
    $("review-count").hidden = !open.length;
    const left = open.length - shownMax;
    setText($("review-note"), !open.length ? "Nothing waits for a person." : left > 0 ? `The ${shownMax} oldest of ${most}.` : "");
    $("review-note").hidden = open.length > 0 && left <= 0;
    page.reviews({ count: open.length, whole, oldest: open[0]?.opened_at ?? null });
    tick();
  }

  function makeCard(review) {
    const [happened, toDo, canAccept] = reasonWords(review.reason);
    const opened = el("time", { datetime: review.opened_at, title: when(review.opened_at) });
    const row = (name, value) => value && [el("dt", {}, name), el("dd", {}, value)];
    const button = (action) => el("button", {
      type: "button", class: action === "accept" ? "small main" : "small", onclick: () => decide(card.review, action),
      "aria-label": `${action[0].toUpperCase()}${action.slice(1)}, ${amountOf(review)}, ${words(review.reason)}`,
    }, action[0].toUpperCase() + action.slice(1));
    const card = el("li", { class: "card review" },
      el("div", { class: "line" }, el("h3", {}, happened), opened),
      el("dl", { class: "facts" }, [
        row("Came", amountOf(review)), row("Costs", review.expected_amount && money(review.expected_amount, review.expected_currency)),
        row("Went back", review.refunded_amount && money(review.refunded_amount, review.currency)),
        row("Order", review.order_id && page.orderButton(review.order_id)),
        row("Payment", review.payment_id && page.orderButton(review.payment_id, "payment")),
        row("Names", review.reference), row("Customer", review.customer_id && page.orderButton(review.customer_id, "customer")),
        row("Deadline", review.payment_due_at && when(review.payment_due_at)), row("Reason", words(review.reason)),
      ].flat()),
      el("p", { class: "quiet small" }, toDo),
      el("div", { class: "buttons", "data-changes": true }, canAccept && button("accept"), button("refund"), button("dismiss")));
    card.opened = opened;
    return card;
  }

  const updateCard = (card, review) => { card.review = review; };

  function decide(review, action) {
    const note = el("textarea", { required: true, maxlength: "1000", rows: "3" });
    confirm({
      title: { accept: "Accept this money?", refund: "Refund this money?", dismiss: "Dismiss this review?" }[action],
      body: [el("p", {}, consequence(review, action)), field("Note: why you decide so", note, "It stays with the review.")],
      action: { accept: "Accept the money", refund: "Decide to refund", dismiss: "Dismiss the review" }[action],
      bad: action === "refund",
      run: async () => {
        const path = `/api/admin/reviews/${encodeURIComponent(review.id)}/resolve`;
        const answer = await page.ask(path, { method: "POST", body: { action, note: note.value.trim() || note.value } });
        if (answer.code === "review_resolved") fresh.soon();
        return answer;
      },
      done: () => { page.say(`The review was resolved: ${action}.`); fresh.soon(); },
      fallback: title,
    });
  }

  function tick() {
    for (const card of list.children) {
      setText(card.opened, `open for ${age(page.redisNow() - Date.parse(card.review.opened_at))}`);
    }
  }

  const fresh = page.repeat(refresh, 5000);
  page.onEvent((event) => { if (event.type.startsWith("review.") && Date.parse(event.at) >= page.startedAt) later(); });
  let planned = null;
  function later() {
    planned ??= setTimeout(() => { planned = null; fresh.soon(); }, 500);
  }
  return { tick, reset: () => list.replaceChildren() };
}

// ---------------------------------------------------------------------------------------------------------------- Events

const stepMs = 10000;

/** The log of events, newest first. It also counts orders by what became of them, for the last 15 minutes. */
export function events(page) {
  const most = 200, limit = 1000, behindMax = 4, list = $("event-list");
  let cursor = null, kept = [], paused = false, newer = 0, behind = 0, counts = new Map(), since = null;

  /** Finds a place to begin: as far back as few answers can say. */
  async function begin() {
    for (const minutes of [1440, 60, 10, 2]) {
      const from = Math.round(page.redisNow() - minutes * 60000);
      const answer = await page.ask(`/api/admin/events?since=${from}&limit=${limit}`);
      if (!answer.ok) return answer;
      if (answer.body.more && minutes > 2) continue;
      since = from;
      return answer;
    }
  }

  /** Leaves events out: more come than anybody reads. */
  async function skip() {
    const answer = await page.ask("/api/admin/events?after=latest");
    if (answer.ok) {
      since = page.redisNow();
      take([{ id: `left out ${since}`, at: new Date(since).toISOString(), leftOut: true }]);
      page.missedEvents();
    }
    return answer;
  }

  async function refresh() {
    const wait = document.hidden || newestMatters() ? 0 : 20;
    const answer = cursor === null ? await begin() : behind >= behindMax ? await skip() : await page.ask(
      `/api/admin/events?after=${encodeURIComponent(cursor)}&limit=${limit}${wait ? `&wait=${wait}` : ""}`, { timeoutMs: 40000 });
    if (answer.left) return 0;
    if (!answer.ok) return failed(answer);
    behind = answer.body.more ? behind + 1 : 0;
    cursor = answer.body.next_cursor;
    if (answer.body.missing.length) page.missedEvents();
    take(answer.body.data);
    return answer.body.more ? 100 : wait ? 500 : 2000;
  }

  /** Polls while much happens: a long wait that ends at once is no wait. */
  const newestMatters = () => kept.length > 0 && page.redisNow() - Date.parse(kept[0].at) < 3000;

  function failed(answer) {
    if (answer.code === "cursor_expired" || answer.status === 422) cursor = null;
    setText($("event-note"), problemOf(answer));
    return (answer.retrySeconds ?? 5) * 1000;
  }

  function take(came) {
    for (const event of came.filter((one) => !one.leftOut)) {
      countEvent(event);
      page.heard(event);
    }
    if (came.length) kept = [...came.slice(-most).reverse(), ...kept].slice(0, most);
    newer = paused ? newer + came.length : 0;
    render();
  }

  function countEvent(event) {
    const step = Math.floor(Date.parse(event.at) / stepMs);
    if (!counts.has(step)) counts.set(step, {});
    const one = counts.get(step);
    one[event.type] = (one[event.type] ?? 0) + 1;
    for (const old of counts.keys()) if (old < step - 900000 / stepMs - 1) counts.delete(old);
  }

  function render() {
    setText($("event-note"), paused ? `Paused, with ${plural(newer, "newer event")}.`
      : kept.length ? "" : "Nothing happened yet.");
    $("event-note").hidden = !paused && kept.length > 0;
    if (paused) return;
    const kinds = $("event-kind").value.split(" ");
    const wanted = kept.filter((event) => event.leftOut || kinds.some((kind) => event.type.startsWith(kind)));
    keyed(list, wanted, (event) => event.id, makeRow, null, $("events-title"));
  }

  function makeRow(event) {
    const time = el("time", { datetime: event.at }, when(event.at));
    if (event.leftOut) {
      return el("li", { class: "event" }, time, el("p", { class: "quiet" }, "Events were left out: more came than can be read here."));
    }
    const who = [event.actor && `by ${event.actor}`, event.reason && `“${event.reason}”`].filter(Boolean).join(": ");
    return el("li", { class: "event", "data-kind": event.type.split(".")[0], "data-type": event.type }, time,
      el("p", {}, el("b", {}, words(event.type)), " ", el("span", { class: "quiet" }, event.sale),
        who && el("span", { class: "who" }, ` ${who}`)),
      el("p", { class: "small" }, ...about(event)));
  }

  /** What an event is about. */
  function about(event) {
    const { order, review, product } = event;
    if (order) {
      const items = order.items.map((item) => `${count(item.quantity)} × #${item.product_id}`).join(", ");
      const sum = order.total_amount === null ? null : money(order.total_amount, order.currency);
      return [page.orderButton(order.id), " ", [sum, items, order.customer_id].filter(Boolean).join(" · ")];
    }
    if (review) {
      return [`${reasonWords(review.reason)[0]}: ${amountOf(review)} `, review.order_id && page.orderButton(review.order_id),
        review.action ? ` ${review.action}${review.note ? `, “${review.note}”` : ""}` : ""];
    }
    return [[product?.name, changes(event.change), event.repair && "an audit put counters right"].filter(Boolean).join(": ")];
  }

  function changes(change) {
    const text = (value) => value === null || value === undefined ? "nothing"
      : typeof value === "object" ? JSON.stringify(value) : String(value);
    return Object.entries(change ?? {}).map(([name, { from, to }]) => `${words(name)} ${text(from)} → ${text(to)}`).join(", ");
  }

  const fresh = page.repeat(refresh, 2000);
  $("event-kind").onchange = render;
  $("event-pause").onclick = () => {
    paused = !paused;
    newer = 0;
    $("event-pause").setAttribute("aria-pressed", String(paused));
    setText($("event-pause"), paused ? "Resume" : "Pause");
    render();
  };
  return {
    /** How many events of a type came in the last `ms`, and since when this page has read them. */
    counted(type, ms) {
      const from = (page.redisNow() - ms) / stepMs;
      let all = 0;
      for (const [step, one] of counts) if (step + 1 > from) all += one[type] ?? 0;
      return all;
    },
    since: () => since,
    reset: () => { [cursor, kept, behind, counts, since] = [null, [], 0, new Map(), null]; list.replaceChildren(); },
    fresh,
  };
}

// ---------------------------------------------------------------------------------------------------------------- Orders

/** The search of orders by any id that an operator is given. */
export function orders(page) {
  const requestsMax = 10, found = $("order-found"), more = $("order-more"), title = $("orders-title");
  let query = null, cursor = null, shown = new Map(), turn = 0;

  const ways = {
    order: async (text) => {
      const answer = await page.ask(`/api/admin/orders/${encodeURIComponent(text)}`);
      return answer.ok ? { orders: [answer.body], said: "One order has this id." } : answer;
    },
    payment: async (text) => {
      const answer = await page.ask(`/api/admin/payments/${encodeURIComponent(text)}`);
      if (!answer.ok) return answer;
      const { orders: named, reviews: about } = answer.body;
      const said = `This payment names ${plural(named.length, "order")} and has ${plural(about.length, "review")}.`;
      return { orders: named, reviews: about, said };
    },
    customer: async (text) => {
      query = `customer_id=${encodeURIComponent(text)}`;
      const [listed, customer] = await Promise.all([look(""), page.ask(`/api/admin/customers/${encodeURIComponent(text)}`)]);
      return listed.ok === false ? listed : { ...listed, customer: customer.ok ? customer.body : null, said: "of this customer" };
    },
    sku: async (text) => {
      query = `sku=${encodeURIComponent(text)}`;
      const listed = await look("");
      return listed.ok === false ? listed : { ...listed, said: "with this SKU" };
    },
  };

  /** Reads pages of a list, which may be short or empty and still go on, until enough is found. */
  async function look(from) {
    const all = [];
    let next = from;
    for (let request = 0; request < requestsMax && next !== null && all.length < perPage; request++) {
      const answer = await page.ask(`/api/admin/orders?${query}&limit=${perPage}${next && `&cursor=${encodeURIComponent(next)}`}`);
      if (!answer.ok) return answer;
      all.push(...answer.body.data);
      next = answer.body.next_cursor;
    }
    return { orders: all, next };
  }

  /** Tries what the text may be: an order, a payment, a customer, a SKU. */
  async function any(text) {
    if (text.startsWith("order_")) return ways.order(text);
    for (const way of ["payment", "customer", "sku"]) {
      const result = await ways[way](text);
      const something = result.orders?.length || result.reviews?.length || result.customer?.sales.length || result.next;
      if (something) return result;
      if (result.ok === false && ![404, 422].includes(result.status)) return result;
    }
    return { orders: [], said: "" };
  }

  async function search(text, by) {
    const mine = ++turn;
    say("Searching …");
    const result = await (by === "any" ? any(text) : ways[by](text));
    if (mine !== turn || result.left) return;
    $("order-clear").hidden = false;
    if (result.ok === false) return show({ orders: [], said: problemOf(result) });
    show(result);
  }

  const say = (sentence) => setText($("order-note"), sentence);

  function show(result) {
    shown = new Map(result.orders.map((order) => [order.id, order]));
    cursor = result.next ?? null;
    more.hidden = cursor === null;
    const kind = result.said.startsWith("of") || result.said.startsWith("with");
    say(kind ? `${plural(shown.size, "order")} ${result.said}${cursor ? ", so far" : ""}.` : result.said || "Nothing was found.");
    found.replaceChildren(...customerFacts(result.customer), ...(result.reviews ?? []).map(reviewLine));
    for (const order of shown.values()) found.append(makeOrder(order, shown.size === 1));
  }

  /** Why a customer's next hold would be refused, and what counts for them. */
  function customerFacts(customer) {
    return (customer?.sales ?? []).slice(0, 10).map((sale) => el("div", { class: "card" },
      el("h3", {}, `${customer.customer_id} in sale ${sale.sale}`),
      sale.next_hold && el("p", {}, `The next hold would be refused: ${sale.next_hold.detail}`),
      el("ul", {}, sale.products.map((product) => el("li", {},
        `${product.name}: ${count(product.held)} held, ${count(product.pending)} pending, ${count(product.bought)} bought`,
        product.next_hold && `. The next hold would be refused: ${product.next_hold.detail}`)))));
  }

  const reviewLine = (review) => el("p", { class: "note" },
    `Review ${review.status}, ${when(review.opened_at)}: ${reasonWords(review.reason)[0]}, ${amountOf(review)}`,
    review.action && `. ${review.action}${review.actor ? ` by ${review.actor}` : ""}: “${review.note}”`);

  function makeOrder(order, open) {
    const status = el("span", { class: "chip" }), sum = el("b"), body = el("div", { class: "order-body" });
    const box = el("details", { class: "card order", open }, el("summary", {},
      el("code", {}, order.id), status, sum, el("span", { class: "quiet" }, order.customer_id ?? "no customer id"),
      el("time", { class: "quiet", datetime: order.created_at }, when(order.created_at))), body);
    box.dataset.order = order.id;
    box.update = (now) => {
      setText(status, words(now.status));
      status.dataset.status = now.status;
      setText(sum, now.total_amount === null ? "amount unknown" : money(now.total_amount, now.currency));
      if (box.open) fillOrder(body, now);
    };
    box.ontoggle = () => { if (box.open) fillOrder(body, shown.get(order.id) ?? order); };
    box.update(order);
    return box;
  }

  function fillOrder(body, order) {
    const sum = (amount) => amount === null || amount === undefined ? null : money(amount, order.currency);
    const row = (name, value) => value && el("div", {}, el("dt", {}, name), el("dd", {}, value));
    const facts = el("dl", { class: "facts" }, [
      row("Sale", order.sale), row("Created", when(order.created_at)),
      row("Payment due", order.payment_due_at && when(order.payment_due_at)),
      row("Started to pay", order.payment_started_at && when(order.payment_started_at)),
      row("Paid", order.paid_at && `${when(order.paid_at)}${order.late ? ", late" : ""}`), row("Total", sum(order.total_amount)),
      row("Captured", sum(order.captured_amount)), row("Went back", sum(order.refunded_amount)), row("Net", sum(order.net_amount)),
      row("Paid by", order.payment_id), row("Hold", order.hold_id && el("code", {}, order.hold_id)),
      row("Metadata", order.metadata && JSON.stringify(order.metadata)),
    ]);
    const reviewBox = el("div");
    body.replaceChildren(facts, itemTable(order), paymentTable(order), eventTable(order), reviewBox);
    showReviews(order, reviewBox);
  }

  const table = (caption, heads, lines) => !lines.length ? el("p", { class: "quiet small" }, `${caption}: none`)
    : el("div", { class: "scroll-x", tabindex: "0", role: "region", "aria-label": caption }, el("table", {}, el("caption", {}, caption),
      el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", {}, lines.map(([first, ...rest]) => el("tr", {}, el("th", { scope: "row" }, first),
        rest.map((value) => el("td", {}, value ?? "–")))))));

  const itemTable = (order) => table("Items", ["Product", "SKU", "Units", "Price"], order.items.map((item) =>
    [`#${item.product_id}`, item.sku, count(item.quantity), money(item.unit_price, order.currency)]));

  function paymentTable(order) {
    const state = (payment) => ["captured", "in_flight", "declined", "ended"].filter((name) => payment[name]).map(words)
      .concat(payment.dispute ? [`dispute ${payment.dispute}`] : []).join(", ") || "nothing yet";
    return table("Payments", ["Payment", "State", "Captured", "Went back"], order.payments.map((payment) => [
      payment.payment_id ?? "no id", state(payment), payment.captured_amount && money(payment.captured_amount, payment.currency),
      payment.refunded_amount && money(payment.refunded_amount, payment.currency)]));
  }

  function eventTable(order) {
    const heard = order.payments.flatMap((payment) => payment.events.map((event) => ({ ...event, of: payment.payment_id })));
    const all = [...heard, ...order.shop_events].sort((a, b) => a.received_at.localeCompare(b.received_at));
    const left = order.events_left_out ? `, and ${plural(order.events_left_out, "later one")}` : "";
    return table(`Payment events${left}`, ["Event", "Came at", "Id", "Payment"], all.map((event) => [
      words(event.type) + (event.repeats ? ", said nothing new" : ""), when(event.received_at), event.event_id,
      event.of ?? "the shop's own"]));
  }

  async function showReviews(order, box) {
    for (const { payment_id: id } of order.payments.filter((payment) => payment.payment_id).slice(0, 5)) {
      const answer = await page.ask(`/api/admin/payments/${encodeURIComponent(id)}`);
      if (answer.ok) box.append(...answer.body.reviews.map(reviewLine));
    }
  }

  const stale = new Set();
  let planned = null;
  /** Reads an order on the page again when an event is about it. */
  function heard(event) {
    const id = event.order?.id ?? event.review?.order_id;
    if (!shown.has(id)) return;
    stale.add(id);
    planned ??= setTimeout(async () => {
      planned = null;
      for (const one of [...stale].slice(0, 10)) {
        stale.delete(one);
        const answer = await page.ask(`/api/admin/orders/${encodeURIComponent(one)}`);
        if (!answer.ok || !shown.has(one)) continue;
        shown.set(one, answer.body);
        found.querySelector(`[data-order="${one}"]`)?.update(answer.body);
      }
      stale.clear();
    }, 700);
  }

  function clear() {
    turn++;
    shown = new Map();
    found.replaceChildren();
    more.hidden = $("order-clear").hidden = true;
    $("order-text").value = "";
    say("An order id, a payment id, the id of a customer, or a SKU.");
  }

  $("order-search").onsubmit = (event) => {
    event.preventDefault();
    const text = $("order-text").value.trim();
    if (text) search(text, $("order-by").value);
  };
  $("order-clear").onclick = () => { clear(); $("order-text").focus(); };
  more.onclick = async () => {
    more.disabled = true;
    const mine = turn, result = await look(cursor);
    more.disabled = false;
    if (mine !== turn || result.left) return;
    if (result.ok === false) return say(problemOf(result));
    cursor = result.next;
    more.hidden = cursor === null;
    for (const order of result.orders) {
      if (!shown.has(order.id)) found.append(makeOrder(order, false));
      shown.set(order.id, order);
    }
    say(`${plural(shown.size, "order")}${cursor ? ", so far" : ""}.`);
    if (more.hidden) title.focus();
  };
  page.onEvent(heard);

  /** Shows an order, or what a payment or a customer has, from another part of the page. */
  function open(text, by) {
    $("order-text").value = text;
    $("order-by").value = by;
    search(text, by);
    $("orders").scrollIntoView({ block: "start" });
    title.focus({ preventScroll: true });
  }
  return { open, reset: clear };
}
