// What the parts of the dashboard share: how things are written, lists that change in place, why a call failed, and the dialog.

import { clock, count, el, setText } from "./base.js";

export const $ = (id) => document.getElementById(id);

/** A word with a capital. */
export const capital = (word) => `${word.charAt(0).toUpperCase()}${word.slice(1)}`;

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
export const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

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

/** Writes rows of a key, a head and cells in place. */
export function fillTable(body, rows) {
  const make = ([, ...cells]) => el("tr", {}, cells.map((_, index) => el(index ? "td" : "th", index ? {} : { scope: "row" })));
  const update = (row, [, ...cells]) => cells.forEach((cell, index) => setText(row.children[index], String(cell)));
  keyed(body, rows, ([key]) => key, make, update);
}

/** Writes facts of a name, a value, and whether it is a bad one, in place. */
export function fillFacts(list, facts) {
  keyed(list, facts, ([name]) => name, ([name]) => el("div", {}, el("dt", {}, name), el("dd")), (row, [, value, bad]) => {
    setText(row.lastElementChild, value);
    row.classList.toggle("bad", Boolean(bad));
  });
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
  store_unavailable: () => "Redis cannot be used at the moment.",
  store_timeout: () => "Redis did not answer in time.",
  overloaded: () => "The service has more to do than it can answer at the moment.",
};
const unknownOutcome = "Nobody knows whether it was done. Do it again: it is not done twice.";

/** Why a call failed, for people. */
export function problemOf(answer, changes = false) {
  const known = answer.body && explained[answer.code];
  const text = known ? known(answer.body) : capital(answer.problem), isUnknown = answer.status === 0 || answer.code === "store_timeout";
  return changes && isUnknown ? `${text.replace(/\.$/, "")}. ${unknownOutcome}` : text;
}

// --- Dialog ---

const settled = new Set(["review_resolved", "payment_not_acceptable", "forbidden", "review_not_found"]);

/** Counts dialogs, so that a late answer to one that was cancelled leaves another one alone. */
let dialogs = 0;

/** Asks before something changes. `run` makes the call; the dialog stays open and says why where it is refused. */
export function confirm({ title, body, action, bad, run, done, fallback }) {
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

export const field = (label, input, help) => el("label", {}, label, input, help && el("span", { class: "quiet small" }, help));

/** An input for the reason of a change, which the API takes up to 200 bytes of. */
export const reasonInput = () => el("input", { maxlength: "200", autocomplete: "off" });
export const reasonField = (input) => field("Reason, for the log of events (optional)", input);
export const reasonOf = (input) => (input.value.trim() ? { reason: input.value.trim() } : {});
