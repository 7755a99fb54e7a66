// The words of the shop, for buyers: what a product is, why a hold was refused, and what became of an order and its payments.

import { clock, count, money } from "./base.js";

export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;
export const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`.replace(/\.\.$/, ".");

/** What a product is to a buyer: a word for its badge, and what kind of word. */
export function standing(product) {
  if (product.status === "scheduled") return ["soon", "scheduled"];
  if (product.status === "paused") return ["paused", "paused"];
  if (product.status === "ended") return ["over", "ended"];
  if (product.available_stock > 0) return ["on sale", "live"];
  return product.held_stock + product.pending_stock > 0 ? ["all held", "held"] : ["sold out", "out"];
}

/** Why nobody can hold a unit now, in words that count down. `null`: somebody can. */
export function obstacle(product, until) {
  if (product.status === "scheduled") return `The sale begins in ${clock(until(product.starts_at))}.`;
  if (product.status === "paused") return "The sale is paused. It goes on when the shop says so.";
  if (product.status === "ended") return "The sale is over.";
  if (product.available_stock > 0) return null;
  if (product.next_release_at) return `All units are held. The next one may return in ${clock(until(product.next_release_at))}.`;
  return product.held_stock + product.pending_stock > 0 ? "All units are held. Some may return." : "Sold out.";
}

export function refusalText({ code, body, problem }) {
  const texts = {
    insufficient_stock: () => ({
      sold_out: "Sold out: none of them can come back.",
      all_held: "Somebody was faster: all units are held. Some may come back.",
      not_enough: `Only ${plural(body.available_stock, "unit is", "units are")} left.`,
    })[body.reason] ?? "There are not so many.",
    customer_limit_reached: () => `You may have ${plural(body.most, "unit")} of it, and ${count(body.remaining)} more.`,
    customer_cooling_down: () => `You let holds lapse. Come back at ${new Date(body.retry_at).toLocaleTimeString()}.`,
    sale_paused: () => "The sale is paused.", sale_ended: () => "The sale is over.", sale_not_started: () => "The sale has not begun.",
  };
  return texts[code]?.() ?? sentence(problem);
}

// ---- payments ----

/** What a status of an order is to its buyer, and the colour of it. */
export const statusTexts = {
  paid: ["Paid. It is yours.", "good"],
  cancelled: ["The order is cancelled. Its units are back on sale.", ""],
  expired: ["The time to pay is over: the order has lapsed, and its units are back on sale.", ""],
  in_review: ["The payment does not fit the order, so a person of the shop looks at it. The units are kept for you meanwhile.", ""],
  refund_required: ["Money came that the shop must send back. A person of the shop does it.", ""],
  refunded: ["The money went back.", ""],
};

const unitsOf = (order) => order.items.reduce((sum, item) => sum + item.quantity, 0);

/** Why money that came could not simply pay the order, by the reason of its review. */
const reviewTexts = {
  amount_mismatch: "That is not what the order costs, so a person of the shop looks at it.",
  duplicate_payment: "It is a second payment for this order, so a person of the shop looks at it.",
  units_gone: "The money came after the order had lapsed, and other buyers have its units. A person of the shop sends the money back.",
  order_cancelled: "The money came after the order was cancelled. A person of the shop sends it back.",
};

/** The buyer's sentence about paid money that came late. */
export const latePaid = (order) =>
  `The money came after the order had lapsed, and its ${unitsOf(order) === 1 ? "unit was" : "units were"} still free.`;

/** What a buyer is waiting for whose money comes late, in so many milliseconds. */
export function onItsWayText({ status }, wait) {
  const [after, why] = status === "cancelled" ? ["", ""] : [", after the order has lapsed", ": the order has lapsed"];
  return `The money is on its way, and late. It ${wait > 0 ? `comes in ${clock(wait)}${after}` : `is about to come${why}`}.`;
}

/** What became of an event of a payment. `wish`: what the provider was asked to report. */
export function paymentText({ outcome, review, order }, wish) {
  if (wish.event === "declined") return "The card was declined.";
  if (outcome === "duplicate") return "The provider reported it again. Nothing changed.";
  const came = wish.amount ? `${money(wish.amount, order?.currency)} came. ` : "";
  if (review) return came + (reviewTexts[review.reason] ?? "A person of the shop looks at the payment.");
  if (order?.status !== "paid") return came + (statusTexts[order?.status]?.[0] ?? "A person of the shop looks at the payment.");
  return order.late ? `${came}${latePaid(order)} Paid.` : `${came}Paid.`;
}
