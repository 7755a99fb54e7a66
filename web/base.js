// What both pages share: calls of the API, streams, and how things are written.

/** How far the service's clock is ahead of this device's, which may be hours off: by the `Date` of its answers, or better if `isExact`. */
export const service = { aheadMs: 0, isExact: false };

function learnClock(answer) {
  const date = Date.parse(answer.headers.get("date"));
  // The header has whole seconds.
  const aheadMs = date + 500 - Date.now();
  if (!service.isExact && !Number.isNaN(date) && Math.abs(aheadMs - service.aheadMs) > 1500) service.aheadMs = aheadMs;
}

/** The answer to a call: its status (0: nobody answered), body, and what to say about it where it is no success. */
export async function call(path, { method = "GET", body, token, headers = {}, timeoutMs = 8000 } = {}) {
  const request = { method, headers: { accept: "application/json", ...headers }, signal: AbortSignal.timeout(timeoutMs) };
  if (body !== undefined) {
    request.body = JSON.stringify(body);
    request.headers["content-type"] = "application/json";
  }
  if (token) request.headers.authorization = `Bearer ${token}`;
  try {
    const answer = await fetch(path, request);
    learnClock(answer);
    const text = await answer.text();
    let read = null;
    try { read = text === "" ? null : JSON.parse(text); } catch { /* a proxy answered */ }
    const problem = answer.ok ? null : read?.detail ?? `the answer is ${answer.status}`;
    const retrySeconds = Number(answer.headers.get("retry-after")) || null;
    return { ok: answer.ok, status: answer.status, body: read, code: read?.code ?? null, problem, retrySeconds };
  } catch {
    return { ok: false, status: 0, body: null, code: null, problem: "the service does not answer", retrySeconds: null };
  }
}

/**
 * Follows a stream of server-sent events for as long as the page lives: also after an answer that makes a browser give up, and after
 * silence. `onState` gets "live", "away" (nobody answers) or "gone" (404). Returns what ends it.
 */
export function follow(path, events, onState) {
  const silentMs = 25000;
  let source = null, timer = null, ended = false, waitMs = 1000;
  const watchdog = () => { clearTimeout(timer); timer = setTimeout(() => again(0), silentMs); };
  const again = (ms) => {
    source?.close();
    clearTimeout(timer);
    if (!ended) timer = setTimeout(open, ms);
  };
  async function lost() {
    if (source.readyState !== EventSource.CLOSED) { onState("away"); return; }
    // The browser does not say why, so ask.
    const answer = await call(path, { method: "HEAD" });
    onState(answer.status === 404 ? "gone" : "away");
    waitMs = Math.min(waitMs * 2, 10000);
    again(waitMs * (0.5 + Math.random() / 2));
  }
  function open() {
    source = new EventSource(path);
    source.onopen = () => { waitMs = 1000; onState("live"); watchdog(); };
    source.onerror = lost;
    for (const [name, take] of Object.entries(events)) {
      source.addEventListener(name, (event) => { onState("live"); watchdog(); take(JSON.parse(event.data)); });
    }
  }
  open();
  return () => { ended = true; source?.close(); clearTimeout(timer); };
}

/** An element: `el("p", { class: "quiet" }, "text", child)`. A property that is a function is a listener. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Sets text only where it changes, so that nothing is read aloud or painted twice. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** `12.50 USD` as the reader's language writes it. The amount stays text: it is exact. */
export function money(amount, currency) {
  if (amount === null || amount === undefined) return "";
  try {
    const digits = (amount.split(".")[1] ?? "").length;
    return new Intl.NumberFormat(undefined, { style: "currency", currency, minimumFractionDigits: digits }).format(amount);
  } catch {
    return `${amount} ${currency ?? ""}`.trim();
  }
}

/** `4:07`, or `1:02:03` from an hour on. */
export function clock(ms) {
  const all = Math.max(0, Math.ceil(ms / 1000));
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(all / 3600);
  const minutes = Math.floor(all / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(all % 60)}` : `${minutes}:${two(all % 60)}`;
}

/** Counts with separators. */
export const count = (number) => new Intl.NumberFormat().format(number);

/** What this browser keeps between visits. Some browsers keep nothing, and that is no error. */
export const keep = {
  get(name) { try { return JSON.parse(localStorage.getItem(name)); } catch { return null; } },
  set(name, value) { try { localStorage.setItem(name, JSON.stringify(value)); } catch { /* nothing is kept */ } },
  drop(name) { try { localStorage.removeItem(name); } catch { /* nothing was kept */ } },
};
