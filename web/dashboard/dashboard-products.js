// Products and their sales: units, restocks and pauses.

import { count, el, money, setText } from "./base.js";
import {
  $, age, confirm, field, keyed, plural, problemOf, reasonField, reasonInput, reasonOf,
} from "./dashboard-shared.js";

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const perPage = 50;

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

const catalogMax = 20000, searchPages = 50;

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
  /** Counts searches, so that a late answer to an earlier one is left. */
  #searches = 0;

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
    const changed = () => {
      this.#first = $("product-scroll").scrollTop = 0;
      this.#render();
      this.#search();
      this.#fresh.soon();
    };
    let typed = null;
    for (const input of [$("product-text"), $("product-sale")]) {
      input.oninput = () => { clearTimeout(typed); typed = setTimeout(changed, 200); };
    }
    $("product-filter").onsubmit = (event) => { event.preventDefault(); changed(); };
    for (const button of $("product-pages").querySelectorAll("button")) {
      button.onclick = () => {
        this.#first = Math.max(0, this.#first + perPage * Number(button.dataset.by));
        $("product-scroll").scrollTop = 0;
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

  /** Reads all pages, with pauses. Names are searched here as far as they are known: that asks nobody. */
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
    this.#search();
  }

  /** Lets the service look for a text in products that the page does not have, and shows what it found so far. */
  async #search() {
    const mine = ++this.#searches, text = $("product-text").value.trim();
    let cursor = "";
    for (let page = 0; page < searchPages && text && !this.#whole && cursor !== null; page++) {
      const query = `archived=false&limit=${perPage}&search=${encodeURIComponent(text)}${cursor && `&cursor=${cursor}`}`;
      const answer = await this.#page.ask(`/api/admin/products?${query}`);
      if (mine !== this.#searches || !answer.ok) return;
      for (const product of answer.body.data) this.#put(product);
      cursor = answer.body.next_cursor;
      if (answer.body.data.length) this.#render();
    }
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
      const early = !this.#readAt;
      if (early) for (const product of answer.body.data) this.#catalog.set(product.id, product);
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
    setText(is.toggle, product.status === "paused" ? "Resume sale" : "Pause sale");
    is.toggle.hidden = product.status === "ended";
    is.restock.setAttribute("aria-label", `Restock ${product.name}`);
    is.toggle.setAttribute("aria-label", `${is.toggle.textContent} ${product.sale}`);
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
