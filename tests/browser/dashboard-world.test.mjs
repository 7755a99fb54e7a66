// The dashboard where the world is not as it should be: a wrong clock, two tabs, a small phone, names that no address can have.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ADMIN_TOKEN, Browser, Service, close } from "./ground.mjs";

const HOURS = 3_600_000;

let browser, service;
before(async () => { [browser, service] = [await Browser.start(), await Service.start()]; });
after(async () => { await browser?.stop(); await service?.stop(); });

const open = (options) => browser.page(service, "/dashboard", options);

async function signIn(page, keeps = false) {
  await page.fill("#token", ADMIN_TOKEN);
  if (keeps) await page.check("#keep");
  await page.press("#token", "Enter");
  await page.waitForSelector("#dashboard:not([hidden])");
}

test("a device whose clock is hours off sees a new product as soon as it is made", async () => {
  for (const aheadMs of [3 * HOURS, -3 * HOURS]) {
    const page = await open({ aheadMs });
    await signIn(page);
    await page.waitForFunction(() => document.querySelector("#product-rows").children.length > 0);
    const name = aheadMs > 0 ? "Made early" : "Made late";
    await service.offer(name, 3);
    await page.waitForFunction((name) => document.querySelector("#product-rows").textContent.includes(name), name);
    await close(page);
  }
});

test("one tab that signs out signs out the others that were kept signed in", async () => {
  const one = await open();
  await signIn(one, true);
  const other = await open({ context: one.context() });
  await other.waitForSelector("#dashboard:not([hidden])");
  await one.click("#sign-out");
  await other.waitForSelector("#sign-in:not([hidden])");
  await other.reload();
  await other.waitForSelector("#sign-in:not([hidden])");
  await close(other);
});

test("nothing is wider than a small phone, whatever a product costs and is called", async () => {
  const name = "Unpronounceable".repeat(8);
  const id = await service.offer("Small phone", 1_000_000, {}, { name, price: "50000000000.00", max_per_hold: 1 });
  const { body: hold } = await service.ask("POST", "/api/holds", { product_id: id, quantity: 1, customer_id: "c".repeat(100) });
  await service.ask("POST", "/api/orders", { hold_id: hold.id });
  const page = await open({ viewport: { width: 320, height: 640 } });
  await signIn(page);
  await page.waitForFunction((name) => document.querySelector("#product-rows").textContent.includes(name), name);
  await page.fill("#order-text", "c".repeat(100));
  await page.press("#order-text", "Enter");
  await page.waitForFunction(() => document.querySelector("#order-found details"));
  await page.click("#order-found summary");
  const wide = await page.evaluate(() => {
    const { clientWidth } = document.documentElement, texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
    for (const range = document.createRange(); texts.nextNode();) {
      range.selectNodeContents(texts.currentNode);
      // What a person can scroll to within its own frame is in reach.
      const isCut = texts.currentNode.parentElement.closest(".scroll, .scroll-x") !== null;
      if (!isCut && [...range.getClientRects()].some((box) => box.right > clientWidth)) found.push(texts.currentNode.textContent);
    }
    return found;
  });
  assert.deepEqual(wide, []);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0);
  await close(page);
});

test("an id that no address can have is said to be one, and what has it is found all the same", async () => {
  const id = await service.offer("Two dots", 3);
  const { body: hold } = await service.ask("POST", "/api/holds", { product_id: id, quantity: 1, customer_id: ".." });
  const { body: order } = await service.ask("POST", "/api/orders", { hold_id: hold.id });
  const page = await open();
  await signIn(page);
  for (const [id, by] of [[".", "payment"], ["..", "payment"], [".", "any"]]) {
    await page.selectOption("#order-by", by);
    await page.fill("#order-text", id);
    await page.press("#order-text", "Enter");
    await page.waitForFunction(() => document.querySelector("#order-note").textContent.includes("A browser cannot ask for this id"));
    await page.click("#order-clear");
  }
  // A customer may be called so: orders are found by what an address asks for, not by a part of it.
  for (const by of ["customer", "any"]) {
    await page.selectOption("#order-by", by);
    await page.fill("#order-text", "..");
    await page.press("#order-text", "Enter");
    await page.waitForSelector(`#order-found [data-order="${order.id}"]`);
    await page.click("#order-clear");
  }
  await close(page);
});
