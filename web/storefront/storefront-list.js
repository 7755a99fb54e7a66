// The list of all products, as cards.

import { call, count, el, money, setText } from "./base.js";
import { standing } from "./storefront-words.js";

const PAGE = 48;
/** Products that are read again and again, of those that are shown. */
const AGAIN_MAX = 960;
const $ = (id) => document.getElementById(id);

const cards = new Map();
let cursor = null;

export const hue = (product) => (product.id * 67 + 100) % 360;

/** Reads anew what is shown: what is new comes, and what is gone goes. Returns the problem, if there is one. */
export async function loadList() {
  const limit = Math.min(AGAIN_MAX, Math.max(1, Math.ceil(cards.size / PAGE)) * PAGE);
  const answer = await call(`/api/products?limit=${limit}`);
  if (!answer.ok) return answer.problem;
  const read = new Set(answer.body.data.map((product) => product.id));
  for (const [id, { card }] of [...cards].slice(0, limit)) {
    if (!read.has(id)) { card.remove(); cards.delete(id); }
  }
  take(answer.body, cards.size <= read.size);
  return null;
}

/** The next page. */
export async function loadMore() {
  const answer = await call(`/api/products?limit=${PAGE}&cursor=${encodeURIComponent(cursor)}`);
  if (!answer.ok) return answer.problem;
  take(answer.body, true);
  return null;
}

/** `isEnd`: the list goes on behind this answer, and nowhere else. */
function take({ data, next_cursor: next }, isEnd) {
  data.forEach(showCard);
  if (isEnd) cursor = next;
  $("more").hidden = cursor === null;
  $("nothing").hidden = cards.size > 0;
}

function makeCard(product) {
  const parts = { name: el("h2"), price: el("span"), left: el("span", { class: "quiet" }), badge: el("span", { class: "badge" }) };
  const picture = el("div", { class: "picture" });
  picture.style.setProperty("--hue", hue(product));
  const words = el("div", { class: "words" }, parts.name,
    el("div", { class: "row" }, parts.price, parts.badge), parts.left);
  const card = el("li", {}, el("a", { class: "card", href: `#product=${product.id}` }, picture, words));
  $("cards").append(card);
  return { ...parts, card };
}

function showCard(product) {
  if (!cards.has(product.id)) cards.set(product.id, makeCard(product));
  const { name, price, left, badge } = cards.get(product.id);
  const [word, kind] = standing(product);
  setText(name, product.name);
  setText(price, money(product.price, product.currency));
  setText(left, `${count(product.available_stock)} of ${count(product.total_stock)} left`);
  setText(badge, word);
  badge.dataset.kind = kind;
}
