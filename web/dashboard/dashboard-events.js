// The log of events.

import { count, el, money, setText } from "./base.js";
import { amountOf, reasonWords } from "./dashboard-money.js";
import { $, capital, keyed, plural, problemOf, when, words } from "./dashboard-shared.js";

const stepMs = 10000, countedMs = 900000, eventsKept = 200, eventsRead = 1000, behindMax = 4, pagesBack = 5;
const olderRead = 100, searchedRead = 500, searchedPages = 20, olderMax = 2000;

/** The log of events, newest first. It also counts them by type, for the last 15 minutes. */
export class Events {
  #page;
  #cursor = null;
  #kept = [];
  /** The list that was there when somebody froze it. `null`: it goes on. */
  #frozen = null;
  #newer = 0;
  #behind = 0;
  #counts = new Map();
  #since = null;
  #moreThanKept = false;
  /** What was asked for behind those that are kept and fits the filter, of how many, where it goes on, and whether the log has more. */
  #older = [];
  #olderRead = 0;
  #place = null;
  #more = false;
  /** What is read back at the moment, in words. */
  #reading = "";
  /** Counts readings backwards, so that a late answer to an earlier one is left. */
  #turn = 0;

  constructor(page) {
    this.#page = page;
    page.repeat(() => this.#refresh(), 2000);
    $("event-kind").onchange = () => { this.#forgetOlder(); this.#render(); };
    $("event-freeze").onclick = () => this.#freeze();
    $("event-older").onclick = () => this.#readOlder();
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
    this.#moreThanKept = false;
    this.#forgetOlder();
    if (this.#frozen) this.#freeze();
    $("event-list").replaceChildren();
  }

  #forgetOlder() {
    this.#turn++;
    [this.#older, this.#olderRead, this.#place, this.#more, this.#reading] = [[], 0, null, this.#moreThanKept, ""];
    $("event-older").disabled = false;
  }

  /** Keeps the list as it is for who reads it, or lets it go on. */
  #freeze() {
    const last = this.#frozen?.at(-1);
    // The log went on, and what was read behind the old end of the list does not follow its new one.
    if (last && !this.#kept.includes(last)) this.#forgetOlder();
    this.#frozen = this.#frozen ? null : this.#kept;
    this.#newer = 0;
    setText($("event-freeze"), this.#frozen ? "Go on" : "Freeze");
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

  /**
   * Begins with the newest events, back to what the counts need or as far as a few pages go. The place at which it goes on forwards
   * comes first, so that none is missed in between.
   */
  async #begin() {
    const latest = await this.#page.ask("/api/admin/events?after=latest");
    if (!latest.ok) return latest;
    const from = this.#page.redisNow() - countedMs, found = [];
    let before = "latest", more = true;
    for (let page = 0; more && page < pagesBack; page++) {
      const answer = await this.#page.ask(`/api/admin/events?before=${encodeURIComponent(before)}&limit=${page ? eventsRead : eventsKept}`);
      if (!answer.ok) return answer;
      found.push(...answer.body.data);
      [before, more] = [answer.body.next_cursor, answer.body.more];
      if (found.length && Date.parse(found.at(-1).at) < from) break;
    }
    const oldest = found.length ? Date.parse(found.at(-1).at) : from;
    this.#since = more ? Math.max(oldest, from) : from;
    this.#moreThanKept = more || found.length > eventsKept;
    this.#forgetOlder();
    this.#take(found.reverse());
    return latest;
  }

  /** Reads what happened before the oldest event of the list: a page, or with a filter page after page until an event fits. */
  async #readOlder() {
    const button = $("event-older"), hadFocus = document.activeElement === button, turn = this.#turn;
    const [limit, pages] = $("event-kind").value ? [searchedRead, searchedPages] : [olderRead, 1];
    this.#place ??= this.#first().findLast((event) => !event.leftOut)?.id ?? null;
    button.disabled = true;
    let found = 0, failed = null;
    for (let page = 1; page <= pages && this.#place && this.#more && !found && !failed; page++) {
      this.#reading = `Reading further back: page ${page} of at most ${pages} …`;
      this.#render();
      const answer = await this.#page.ask(`/api/admin/events?before=${encodeURIComponent(this.#place)}&limit=${limit}`);
      if (answer.left || turn !== this.#turn) return;
      if (!answer.ok) {
        failed = answer;
        continue;
      }
      const fitting = answer.body.data.filter((event) => this.#fits(event));
      this.#older.push(...fitting);
      [this.#place, this.#more, found] = [answer.body.next_cursor, answer.body.more, fitting.length];
      this.#olderRead += answer.body.data.length;
    }
    this.#reading = "";
    button.disabled = false;
    this.#render();
    if (failed) this.#failed(failed);
    this.#page.say($(failed ? "event-note" : "event-span").textContent);
    if (hadFocus) (button.hidden ? $("events-title") : button).focus({ preventScroll: true });
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

  #take(read) {
    // What came while the page began is read in both directions.
    const known = new Set(this.#kept.map((event) => event.id));
    const came = read.filter((event) => !known.has(event.id));
    for (const event of came.filter((one) => !one.leftOut)) {
      this.#count(event);
      this.#page.heard(event);
    }
    if (came.length) this.#keep(came);
    this.#newer = this.#frozen ? this.#newer + came.length : 0;
    this.#render();
  }

  /** Keeps the newest. Where older ones are shown, those that leave are theirs. */
  #keep(came) {
    const all = [...came.slice(-eventsRead).reverse(), ...this.#kept], leave = all.slice(eventsKept);
    this.#kept = all.slice(0, eventsKept);
    this.#moreThanKept ||= leave.length > 0;
    if (this.#place === null) this.#more = this.#moreThanKept;
    else if (!this.#frozen) {
      this.#older = [...leave.filter((event) => this.#fits(event)), ...this.#older].slice(0, olderMax);
      this.#olderRead += leave.filter((event) => !event.leftOut).length;
    }
  }

  #count(event) {
    const step = Math.floor(Date.parse(event.at) / stepMs);
    if (step < this.#oldestStep()) return;
    if (!this.#counts.has(step)) this.#counts.set(step, {});
    const counts = this.#counts.get(step);
    counts[event.type] = (counts[event.type] ?? 0) + 1;
    for (const old of this.#counts.keys()) if (old < this.#oldestStep())  this.#counts.delete(old);
  }

  /** The first step of the last 15 minutes. */
  #oldestStep() { return Math.floor((this.#page.redisNow() - countedMs) / stepMs) - 1; }

  /** The newest events of the list, with what does not fit the filter. */
  #first() { return this.#frozen ?? this.#kept; }

  #fits(event) { return event.leftOut || $("event-kind").value.split(" ").some((kind) => event.type.startsWith(kind)); }

  #render() {
    const nothing = this.#kept.length ? "" : "Nothing happened yet.";
    const note = this.#frozen ? `The list is frozen. ${plural(this.#newer, "newer event")} came.` : nothing;
    setText($("event-note"), note);
    $("event-note").hidden = !note;
    const wanted = [...this.#first().filter((event) => this.#fits(event)), ...this.#older];
    $("event-older").hidden = !this.#more || this.#older.length >= olderMax;
    setText($("event-older"), $("event-kind").value ? "Search further back" : "Older events");
    this.#showSpan(wanted);
    keyed($("event-list"), wanted, (event) => event.id, (event) => this.#makeRow(event), null, $("events-title"));
  }

  /** Says of how many events the list is. */
  #showSpan(wanted) {
    const isEvent = (event) => !event.leftOut, first = this.#first();
    const read = first.filter(isEvent).length + this.#olderRead, fitting = wanted.filter(isEvent).length;
    const all = this.#more || !first.every(isEvent) ? "the last" : "all";
    const span = $("event-kind").value ? `${fitting ? count(fitting) : "None"} in ${all} ${plural(read, "event")} read.`
      : `${capital(all)} ${plural(read, "event")}.`;
    setText($("event-span"), read ? `${span} ${this.#reading}`.trim() : "");
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
