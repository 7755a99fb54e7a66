// The operator's dashboard: who is signed in, whether the service answers, its figures, and the wall.

import { call, count, el, keep, setText } from "./base.js";
import { Plot, Rates, countsOf, gauge, histograms, label, quantile, readMetrics, total } from "./dashboard-figures.js";
import { Events } from "./dashboard-events.js";
import { Orders, Reviews } from "./dashboard-money.js";
import { Products, fillBar } from "./dashboard-products.js";
import { $, age, fillFacts, fillTable, when, words } from "./dashboard-shared.js";

const tokenName = "flashsale.admin-token";
const beatMs = 2000, metricsMs = 5000, backgroundMs = 15000;

// --- The page ---

const repeats = [], listeners = [];

/** What the parts of the page share. */
const page = {
  token: null,
  /** Counts who signed in, so that a late answer to somebody else is left. */
  session: 0,
  mayChange: true,
  /** When the page was opened, by this device's clock, and by that of Redis. */
  opened: 0,
  get startedAt() { return page.opened + page.clockAhead; },
  sales: new Set(),
  /** How far the clock of Redis, which decides, is before this one. */
  clockAhead: 0,
  redisNow: () => Date.now() + page.clockAhead,
  ask,
  repeat,
  say: (sentence) => setText($("said"), sentence),
  onEvent: (take) => listeners.push(take),
  heard: (event) => { for (const take of listeners) take(event); },
  missedEvents: () => work.products.missed(),
  orderButton: (text, by = "order") => el("button", {
    type: "button", class: "link", title: `Look for ${by} ${text}`, onclick: () => work.orders.open(text, by),
  }, short(text)),
  units: (units) => { seen.units = units; },
  /** Whether metrics leave products out, so that only the list of all products knows their units. */
  needsUnits: () => seen.metrics?.gauges.get('flashsale_left_out{what="products"}') === 1,
  reviews: (open) => { seen.reviews = open; showTiles(); },
  /** Whether the service or Redis does not answer, so that nobody can change anything. */
  isAway: () => away !== null,
};

const clockAt = (ms) => when(new Date(ms).toISOString());

/** The beginning and the end of a long id, which people compare. */
const short = (id) => id.length > 26 ? `${id.slice(0, 14)}…${id.slice(-5)}` : id;

const unaskable = "A browser cannot ask for this id. On the command line: flashsale payment, flashsale customer.";

/** Calls the API as who is signed in. `left`: somebody signed out meanwhile, and nobody wants the answer. */
async function ask(path, options = {}) {
  const session = page.session;
  // A browser takes a part of an address that is . or .. for a step in it, however it is written.
  if (/\/\.\.?(?:[/?]|$)/.test(path)) return { ok: false, unaskable: true, status: 0, body: null, problem: unaskable };
  const answer = await call(path, { ...options, token: page.token });
  if (session !== page.session) return { ok: false, left: true, status: 0, body: null, problem: "signed out" };
  if (answer.status === 401) {
    signOut("This token is not accepted any more.");
    return { ...answer, left: true };
  }
  // A proxy may answer a page of its own with 200.
  const odd = answer.ok && (answer.body === null || typeof answer.body !== "object");
  if (odd) return { ...answer, ok: false, status: 0, problem: "something else than the service answered" };
  const isLost = answer.status === 0 || ["store_unavailable", "store_timeout"].includes(answer.code);
  if (isLost && path !== "/api/admin/figures") heart.soon();
  return answer;
}

/**
 * Repeats `work` as long as somebody is signed in: after what it answers in milliseconds, or after `ms`; more slowly in the
 * background; and not while the service is away, of which only the heart asks.
 */
function repeat(work, ms, { isHeart = false } = {}) {
  // A call of a session that is over may still wait for its answer, and holds up nobody.
  let timer = null, runs = null, again = false;
  async function run() {
    clearTimeout(timer);
    if (!page.token || (away && !isHeart)) return;
    if (runs === page.session) { again = true; return; }
    const mine = runs = page.session;
    let next = ms;
    try {
      next = await work() || ms;
    } finally {
      if (runs === mine) {
        const wait = again ? 50 : document.hidden ? Math.max(next, backgroundMs) : next;
        [runs, again] = [null, false];
        if (page.token) timer = setTimeout(run, wait);
      }
    }
  }
  const it = { soon: run };
  repeats.push(it);
  return it;
}

// --- Sign in ---

const session = {
  get() { try { return sessionStorage.getItem(tokenName); } catch { return null; } },
  set(token) { try { sessionStorage.setItem(tokenName, token); } catch { /* nothing is kept */ } },
  drop() { try { sessionStorage.removeItem(tokenName); } catch { /* nothing was kept */ } },
};

const refusals = {
  401: "This token is wrong.",
  404: "This service has no admin routes: its settings have no admin token.",
  0: "The service does not answer. Try again.",
};

async function signIn(event) {
  event.preventDefault();
  const token = $("token").value.trim(), button = $("sign-in-form").querySelector("button");
  // What is no visible ASCII is no token, and a header could not carry it.
  const usable = /^[\x21-\x7e]+$/.test(token);
  button.disabled = true;
  const answer = usable ? await call("/api/admin/token", { token }) : { ok: false, status: 401 };
  button.disabled = false;
  if (!answer.ok) {
    signInProblem(refusals[answer.status] ?? `The service refuses: ${answer.problem}`);
    $("token").select();
    return;
  }
  session.set(token);
  if ($("keep").checked) keep.set(tokenName, token);
  $("sign-in-form").reset();
  start(token);
}

function signInProblem(sentence) {
  const problem = $("sign-in-problem");
  problem.hidden = !sentence;
  setText(problem, sentence);
}

function signOut(sentence = "") {
  session.drop();
  keep.drop(tokenName);
  page.token = null;
  page.session++;
  if ($("dialog").open) $("dialog").close();
  for (const part of Object.values(work)) part.reset();
  for (const plot of Object.values(plots)) plot.clear();
  [seen, rates, metricRates, heardGauges] = [nothingSeen(), new Rates({ keeps: true }), new Rates(), new Map()];
  setAway(null);
  showTiles();
  showPage(false);
  signInProblem(sentence);
  $("token").focus();
}

function start(token) {
  page.token = token;
  page.session++;
  page.opened = Date.now();
  signInProblem("");
  showPage(true);
  learnRights();
  for (const one of repeats) one.soon();
}

function showPage(signedIn) {
  $("dashboard").hidden = !signedIn;
  $("sign-in").hidden = signedIn;
  showWall();
}

/** Learns whose token this is and whether it may change things. Until then it may, and the service decides. */
async function learnRights() {
  const mine = page.session;
  page.mayChange = true;
  showRights(null);
  const answer = await ask("/api/admin/token");
  if (mine !== page.session || answer.left) return;
  if (!answer.ok) {
    setTimeout(() => { if (mine === page.session) learnRights(); }, 5000);
    return;
  }
  page.mayChange = answer.body.rights.includes("change");
  showRights(answer.body.name);
}

function showRights(name) {
  document.body.classList.toggle("read-only", !page.mayChange);
  $("reading").hidden = page.mayChange;
  setText($("who"), name ?? "");
  $("who").hidden = !name;
}

// --- Away ---

let away = null, backoffMs = beatMs;

/** Says that the service or Redis is away, since when, and marks all figures as old; or takes it back. */
function setAway(why) {
  const was = away;
  away = why === null ? null : { since: was?.since ?? Date.now(), why };
  document.body.classList.toggle("old", away !== null);
  work.reviews.showAway();
  for (const button of $("product-rows").querySelectorAll("[data-changes] button")) button.disabled = away !== null;
  const banner = $("banner");
  banner.hidden = away === null;
  if (away) setText(banner.firstElementChild, `${away.why} since ${clockAt(away.since)}. All figures are from before.`);
  if (was && !away) {
    setText(banner.firstElementChild, "");
    rates.forgetRates();
    metricRates.forgetRates();
    if (!page.token) return;
    page.say("The service answers again.");
    work.products.missed();
    for (const one of repeats) if (one !== heart) one.soon();
  }
  showState();
}

/** Why the answer to figures is none, or `null`. */
function whyAway(answer) {
  if (answer.ok) return answer.body.redis_ms === null ? "Redis has not answered" : null;
  return answer.status === 0 ? "The service has not answered" : `The service has refused its figures (${answer.problem})`;
}

async function beat() {
  const sent = Date.now();
  const answer = await ask("/api/admin/figures");
  if (answer.left) return beatMs;
  const why = whyAway(answer);
  setAway(why);
  if (answer.ok) takeFigures(answer.body, sent, Date.now());
  else pushGap();
  backoffMs = why ? Math.min(backoffMs * 1.6, 15000) : beatMs;
  return why ? backoffMs * (0.75 + Math.random() / 2) : beatMs;
}

const heart = repeat(beat, beatMs, { isHeart: true });

// --- Figures ---

let rates = new Rates({ keeps: true }), metricRates = new Rates(), heardGauges = new Map();
const nothingSeen = () => ({ figures: null, at: null, units: null, metrics: null, ready: null, reviews: null, tripMs: null });
let seen = nothingSeen();

/** How long a rate counts: with several processes behind a balancer it takes a while until each is heard again. */
function staleMs(of, ms) {
  const known = of.processes(Date.now());
  return (document.hidden ? backgroundMs : ms) * (known < 2 ? 2.5 : 6 * known);
}

const perSecond = (rate) => rate >= 100 ? count(Math.round(rate)) : String(Math.round(rate * 10) / 10);
const milliseconds = (ms) => ms === null || ms === undefined ? "–"
  : `${ms < 10 ? ms.toFixed(2) : ms < 100 ? ms.toFixed(1) : count(Math.round(ms))} ms`;

const plots = {
  holds: new Plot($("plot-holds"), [
    { name: "held", colour: "held", fill: true }, { name: "sold out", colour: "sold" }, { name: "all held", colour: "pending" },
    { name: "not enough", colour: "available" }, { name: "other refusals", colour: "warn", dash: [6, 4] },
    { name: "failed", colour: "bad" }, { name: "replayed", colour: "quiet", dash: [2, 4] },
  ], perSecond),
  latency: new Plot($("plot-latency"), [
    { name: "Redis", colour: "bad" }, { name: "hold p50", colour: "available" }, { name: "hold p99", colour: "held" },
    { name: "this page's calls", colour: "quiet", dash: [2, 4] },
  ], milliseconds),
  orders: new Plot($("plot-orders"), [
    { name: "orders created", colour: "pending" }, { name: "payments applied", colour: "available", fill: true },
    { name: "to review", colour: "held" }, { name: "refund required", colour: "warn", dash: [6, 4] },
    { name: "failed", colour: "bad" },
  ], perSecond),
  batches: new Plot($("plot-batches"), [
    { name: "holds", colour: "held" }, { name: "orders", colour: "pending" }, { name: "payments", colour: "available" },
    { name: "stock", colour: "sold", dash: [6, 4] },
  ], (size) => String(Math.round(size * 10) / 10)),
};

function takeFigures(figures, sent, received) {
  page.clockAhead = figures.redis_at ? Date.parse(figures.redis_at) - (sent + received) / 2 : page.clockAhead;
  rates.add(figures.process, received, countsOf(figures), staleMs(rates, beatMs));
  Object.assign(seen, { figures, at: received, tripMs: received - sent });
  const now = rates.at(received), metrics = metricRates.at(received);
  seen.rates = now;
  pushPlots(received, now, metrics);
  showReasons(now);
  showTiles();
}

function pushPlots(at, now, metrics) {
  const refused = total(now, "holds/refused"), of = (reason) => total(now, `holds/refused/${reason}`);
  const known = ["sold_out", "all_held", "not_enough"].map(of);
  const other = now && Math.max(0, refused - known.reduce((sum, rate) => sum + rate, 0));
  plots.holds.push(at, [total(now, "holds/held"), ...known, other, total(now, "holds/failed"), total(now, "holds/replayed")]);
  const events = (...outcomes) => now && outcomes.reduce((sum, outcome) => sum + total(now, `payment_events/${outcome}`), 0);
  const failed = now && total(now, "orders/failed") + events("failed");
  const created = total(now, "orders/created");
  plots.orders.push(at, [created, events("applied"), events("review", "unmatched"), events("refund_required"), failed]);
  const holds = histograms(metrics, "flashsale_request_duration_seconds", routeOf).get("POST /api/holds");
  const ms = (q) => { const seconds = quantile(holds, q); return seconds === null ? null : seconds * 1000; };
  plots.latency.push(at, [seen.figures.redis_ms, ms(0.5), ms(0.99), seen.tripMs]);
  const batches = histograms(metrics, "flashsale_batch_size", (series) => label(series, "script"));
  const size = (script) => { const one = batches.get(script); return one?.count > 0 ? one.sum / one.count : null; };
  plots.batches.push(at, ["hold", "order", "settle", "stock"].map(size));
}

function pushGap() {
  for (const plot of Object.values(plots)) plot.push(Date.now(), []);
}

const routeOf = (series) => `${label(series, "method")} ${label(series, "route")}`;

/** Lists reasons with a count in the last 15 minutes, and holds always. */
function showReasons(now) {
  const recent = rates.recent();
  const names = [...countsOf(seen.figures).keys()].filter((name) => name.startsWith("holds/"));
  const row = (name) => [name, words(name.split("/").slice(1).join(": ")), now ? perSecond(now.get(name) ?? 0) : "–",
    count(recent.get(name) ?? 0)];
  fillTable($("reasons"), names.filter((name) => recent.get(name) > 0 || name === "holds/held").map(row));
}

// --- Metrics ---

/** Reads a text, which `call` does not give. */
async function text(path) {
  const mine = page.session;
  try {
    const headers = { authorization: `Bearer ${page.token}` };
    const answer = await fetch(path, { headers, signal: AbortSignal.timeout(8000) });
    const body = answer.ok ? await answer.text() : "";
    return { ok: answer.ok && mine === page.session, body };
  } catch {
    return { ok: false, body: "" };
  }
}

async function look() {
  const mine = page.session;
  const [metrics, ready] = await Promise.all([text("/metrics"), call("/readyz")]);
  if (mine !== page.session) return metricsMs;
  seen.ready = ready.body;
  if (metrics.ok && metrics.body.includes("flashsale_")) takeMetrics(readMetrics(metrics.body));
  showState();
  showTiles();
  showStates();
  return metricsMs;
}

function takeMetrics(metrics) {
  const now = Date.now(), stale = staleMs(metricRates, metricsMs);
  metricRates.add(metrics.process, now, metrics.counts, stale);
  heardGauges.set(metrics.process, { gauges: metrics.gauges, at: now, until: now + stale });
  for (const [process, one] of heardGauges) if (one.until < now) heardGauges.delete(process);
  seen.metrics = metrics;
  showService();
  showRoutes(metricRates.at(now));
}

/** Adds up what each process says for itself. */
function inAll(name) {
  const values = [...heardGauges.values()].map((one) => gauge(one.gauges, name)).filter((value) => value !== null);
  return values.length ? values.reduce((sum, value) => sum + value, 0) : null;
}

function showService() {
  const { gauges } = seen.metrics, now = metricRates.at(Date.now());
  const waits = histograms(now, "flashsale_queue_wait_seconds", () => "all").get("all"), wait = quantile(waits, 0.99);
  const number = (value) => value === null ? "–" : count(value);
  const version = label([...gauges.keys()].find((series) => series.startsWith("flashsale_build_info")) ?? "", "version");
  const oldest = Math.min(...[...heardGauges.values()].map((one) => one.gauges.get("process_start_time_seconds")));
  const breakers = inAll("flashsale_redis_open_breakers");
  fillFacts($("service"), [
    ["Redis", milliseconds(seen.figures?.redis_ms)], ["Requests in flight", number(inAll("flashsale_requests_in_flight"))],
    ["Connections", number(inAll("flashsale_connections"))], ["Streams of stock", number(inAll("flashsale_watchers"))],
    ["Items that wait", number(inAll("flashsale_queue_waiting"))], ["Queue wait p99", milliseconds(wait && wait * 1000)],
    ["Open breakers", number(breakers), breakers > 0], ["Processes", number(rates.processes(Date.now()))],
    ["Running for", Number.isFinite(oldest) ? age(Date.now() - oldest * 1000) : "–"],
    ["Memory", `${count(Math.round((inAll("process_resident_memory_bytes") ?? 0) / 1e6))} MB`], ["Version", version || "–"],
  ]);
}

function showRoutes(now) {
  const routes = [...histograms(now, "flashsale_request_duration_seconds", routeOf)].filter(([, one]) => one.count > 0)
    .sort(([, a], [, b]) => b.count - a.count).slice(0, 12);
  const ms = (one, q) => milliseconds(quantile(one, q) * 1000);
  fillTable($("routes"), routes.map(([name, one]) => [name, name, perSecond(one.count), ms(one, 0.5), ms(one, 0.99)]));
}

// --- Orders by state ---

const states = {
  pending: "order.created", in_review: "order.in_review", paid: "order.paid", cancelled: "order.cancelled",
  expired: "order.expired", refund_required: "order.refund_required", refunded: "order.refunded",
};

/** Orders by status, as the process counted them that did so last. `null` as long as none did. */
function countedOrders() {
  const known = [...heardGauges.values()].map(({ gauges, at }) => ({ gauges, at, age: gauges.get("flashsale_stored_orders_age_seconds") }))
    .filter(({ age: seconds }) => seconds !== undefined).map((one) => ({ ...one, since: one.at - one.age * 1000 }));
  const last = known.sort((one, other) => other.since - one.since)[0];
  return last ? { of: (status) => last.gauges.get(`flashsale_stored_orders{status="${status}"}`), since: last.since } : null;
}

function showStates() {
  const counted = countedOrders(), pending = seen.metrics && gauge(seen.metrics.gauges, "flashsale_orders_pending");
  const waits = (state) => state === "pending" && pending !== null ? count(pending) : "–";
  const lately = (type, ms) => work.events.since ? count(work.events.counted(type, ms)) : "–";
  const now = (state) => counted ? count(counted.of(state) ?? 0) : waits(state);
  fillTable($("states"), Object.entries(states).map(([state, type]) =>
    [state, words(state), now(state), lately(type, 60000), lately(type, 900000)]));
  const since = work.events.since, late = since && since > page.redisNow() - 900000;
  const old = counted && Date.now() - counted.since > 30000;
  const parts = [old && `Now: counted at ${clockAt(counted.since)}.`, !counted && seen.metrics && "Orders are being counted.",
    late && `Events are read since ${clockAt(since)}.`];
  setText($("states-note"), parts.filter(Boolean).join(" "));
}

// --- Tiles and wall ---

/**
 * Units of all products: from the list of products where it is short; else from metrics, which are up to five seconds old; and
 * where these leave products out, from the list as it was read last. `note` says what is not quite so.
 */
function unitsNow() {
  const { units } = seen.metrics ?? {}, known = units?.available !== undefined;
  if (seen.units && !seen.units.at) return seen.units;
  if (known && !page.needsUnits()) return units;
  if (seen.units) return { ...seen.units, note: `Units were read at ${clockAt(seen.units.at)}.` };
  return known ? { ...units, isPart: true, note: "Not all products are counted yet." } : null;
}

/** Open reviews: the list where it is whole, and else metrics. */
function reviewsNow() {
  const { reviews, metrics } = seen;
  if (reviews?.whole) return { open: reviews.count, oldestMs: reviews.oldest && page.redisNow() - Date.parse(reviews.oldest) };
  const open = metrics && gauge(metrics.gauges, "flashsale_reviews_open");
  if (open === null) return { open: reviews?.count ?? null, oldestMs: null };
  const ages = [...metrics.gauges].filter(([series]) => series.startsWith("flashsale_review_oldest_age_seconds"));
  return { open, oldestMs: Math.max(0, ...ages.map(([, seconds]) => seconds)) * 1000 };
}

function showTiles() {
  if (away) return;
  const units = unitsNow(), { open, oldestMs } = reviewsNow();
  const tile = (name, value, bad = false) => {
    const place = document.querySelector(`[data-tile="${name}"]`);
    setText(place, value);
    place.style.setProperty("--characters", value.length);
    place.parentElement.classList.toggle("bad", bad);
  };
  for (const part of ["available", "held", "pending", "sold"]) {
    tile(part, units ? `${count(units[part] ?? 0)}${units.isPart ? "+" : ""}` : "–");
  }
  if (units) fillBar($("units-bar"), units);
  const rate = (prefix) => seen.rates ? perSecond(total(seen.rates, prefix)) : "–";
  tile("holds", rate("holds/held"));
  tile("refusals", rate("holds/refused"));
  tile("reviews", open === null ? "–" : count(open), open > 0);
  tile("oldest", open === 0 ? "none" : oldestMs === null ? "–" : age(oldestMs), oldestMs > 3600000);
  const notes = [seen.at && `As of ${clockAt(seen.at)}.`, units?.note,
    rates.processes(Date.now()) > 1 && `${rates.processes(Date.now())} processes answer.`];
  setText($("as-of"), notes.filter(Boolean).join(" "));
  document.title = open > 0 ? `(${count(open)}) flashsale dashboard` : "flashsale dashboard";
}

/** The state of the service: one word, and a colour that says no more than it. */
function showState() {
  const [state, said] = away ? ["bad", away.why.startsWith("Redis") ? "Redis is away" : "away"] : readyState(seen.ready ?? {});
  $("state").dataset.state = state;
  setText($("state").querySelector("b"), said);
  if (away) document.title = "away – flashsale dashboard";
}

/** What `/readyz` says: a status in words, or a problem whose status is a number. */
function readyState({ status, code }) {
  const why = code ? words(code) : null;
  if (status === "ready") return ["good", "ready"];
  if (typeof status === "string") return ["warn", [words(status), why].filter(Boolean).join(": ")];
  return status ? ["bad", why ?? "not ready"] : ["unknown", "connecting"];
}

function showWall() {
  const wall = new URLSearchParams(location.search).get("view") === "wall" && !$("dashboard").hidden;
  document.body.classList.toggle("wall", wall);
  $("wall").setAttribute("aria-pressed", String(wall));
  setText($("wall"), wall ? "Leave the wall" : "Wall");
  for (const plot of Object.values(plots)) plot.draw();
}

function toggleWall() {
  const url = new URL(location.href);
  if (document.body.classList.contains("wall")) url.searchParams.delete("view");
  else url.searchParams.set("view", "wall");
  history.replaceState(null, "", url);
  showWall();
}

function tick() {
  if (!page.token) return;
  setText($("clock"), new Date().toLocaleTimeString(undefined, { hourCycle: "h23" }));
  if (away) setText($("banner").lastElementChild, `For ${age(Date.now() - away.since)}. Trying again by itself.`);
  if (document.hidden) return;
  work.products.tick();
  work.reviews.tick();
  showTiles();
}

// --- Begin ---

const work = {};
work.products = new Products(page);
work.reviews = new Reviews(page);
work.events = new Events(page);
work.orders = new Orders(page);
repeat(look, metricsMs);

$("sign-in-form").onsubmit = signIn;
$("sign-out").onclick = () => signOut();
$("wall").onclick = toggleWall;
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  for (const one of repeats) one.soon();
  for (const plot of Object.values(plots)) plot.draw();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && document.body.classList.contains("wall") && !$("dialog").open) toggleWall();
});
// The header has more lines where the page is narrow, and does not stay where it is narrowest.
new ResizeObserver(([{ target }]) => {
  const stays = getComputedStyle(target).position === "sticky";
  document.documentElement.style.setProperty("--top", `${stays ? target.offsetHeight : 0}px`);
}).observe(document.querySelector(".top"));
setInterval(tick, 1000);

// Another tab of this browser signed out.
addEventListener("storage", (event) => { if (event.key === tokenName && event.newValue === null && page.token) signOut(); });

const known = session.get() ?? keep.get(tokenName);
if (typeof known === "string") start(known);
else showPage(false);
