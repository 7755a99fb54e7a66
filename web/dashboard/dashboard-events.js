// The log of events.

import { count, el, money, setText } from "./base.js";
import { amountOf, reasonWords } from "./dashboard-money.js";
import { $, keyed, plural, problemOf, when, words } from "./dashboard-shared.js";

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
