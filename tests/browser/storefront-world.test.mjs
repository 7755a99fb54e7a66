// The shop where the world is not as it should be: wrong clocks, two tabs, buyers who go on while a call is on its way, data that is gone.

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { hold, order, receipt } from "./buyer.mjs";
import { Browser, Service, close, eventually } from "./ground.mjs";

const HOURS = 3_600_000;

let browser, service;
before(async () => { [browser, service] = [await Browser.start(), await Service.start()]; });
after(async () => { await browser?.stop(); await service?.stop(); });

const open = (id, options) => browser.page(service, `/#product=${id}`, options);
const panel = (page) => page.textContent("#panel");

test("a device whose clock is hours off keeps its hold, and counts down to the opening as everybody does", async () => {
  const id = await service.offer("Wrong clock", 5, { hold_seconds: 600 });
  const starts_at = new Date(Date.now() + HOURS).toISOString();
  const later = await service.offer("Not yet", 5, { starts_at });
  for (const aheadMs of [3 * HOURS, -3 * HOURS]) {
    const page = await open(id, { aheadMs });
    await hold(page);
    const kept = () => page.evaluate(() => Number(localStorage.getItem("ahead")));
    assert.ok(Math.abs(await kept() + aheadMs) < 5_000);
    await page.reload();
    await page.waitForSelector("#order");
    assert.match(await page.textContent("#time"), /^(10:0[01]|9:[0-5]\d)$/);
    await order(page);
    await page.click("#cancel");
    await receipt(page, "cancelled");
    await close(page);
    const early = await open(later, { aheadMs });
    await early.waitForFunction(() => /59:\d\d|1:00:0\d/.test(document.querySelector("#obstacle")?.textContent));
    await close(early);
  }
});

test("what one tab orders, the other one shows, and throws nothing away when the time of the hold is over", async () => {
  const id = await service.offer("Two tabs", 5, { hold_seconds: 4 });
  const one = await open(id);
  await hold(one);
  const other = await open(id, { context: one.context() });
  await other.waitForSelector("#order");
  await order(one);
  await other.waitForSelector("#pay");
  await new Promise((go) => setTimeout(go, 5_000));
  for (const page of [one, other]) {
    await page.reload();
    await page.waitForSelector("#pay");
  }
  await other.click("#pay");
  await receipt(one, "Paid. It is yours.");
  assert.deepEqual(one.faults, []);
  await close(other);
});

test("a hold whose time is over is over, and its units can be bought again", async () => {
  const id = await service.offer("Over", 1, { hold_seconds: 2 });
  const page = await open(id);
  await hold(page);
  await page.waitForFunction(() => document.querySelector("#panel").textContent.includes("The time of your hold is over."));
  await hold(page);
  await close(page);
});

test("a hold that is on its way when the buyer goes on belongs to its own product", async () => {
  const [id, other] = [await service.offer("Slow", 5), await service.offer("Next", 5)];
  const page = await open(id);
  await page.waitForSelector("#hold:not([disabled])");
  let answer;
  await page.route("**/api/holds", async (route) => { await new Promise((go) => { answer = go; }); await route.continue(); });
  for (const elsewhere of [`#product=${other}`, "#"]) {
    await page.evaluate((hash) => { location.hash = hash; }, `#product=${id}`);
    await page.waitForSelector("#hold:not([disabled])");
    await page.click("#hold");
    await eventually("it is on its way", () => answer !== undefined);
    await page.evaluate((hash) => { location.hash = hash; }, elsewhere);
    if (elsewhere !== "#") {
      await page.waitForFunction(() => document.querySelector("#product-name").textContent === "Next");
      await page.waitForSelector("#hold:not([disabled])");
    }
    answer();
    answer = undefined;
    await page.waitForFunction((id) => JSON.parse(localStorage.getItem(`purchase-${id}`))?.step === "hold", id);
    assert.equal(await page.evaluate((id) => localStorage.getItem(`purchase-${id}`), other), null);
    if (elsewhere !== "#") assert.match(await panel(page), /Hold for me/);
    await page.evaluate((hash) => { location.hash = hash; }, `#product=${id}`);
    await page.waitForSelector("#release");
    await page.click("#release");
    await page.waitForSelector("#hold:not([disabled])");
  }
  await page.unroute("**/api/holds");
  await close(page);
});

test("what is new comes into the list, and what is gone goes", async () => {
  const gone = await service.offer("Soon gone", 5);
  const page = await browser.page(service);
  await page.waitForSelector(`a[href="#product=${gone}"]`);
  assert.equal((await service.ask("PATCH", `/api/admin/products/${gone}`, { archived: true })).status, 200);
  const id = await service.offer("Brand new", 5);
  await page.waitForSelector(`a[href="#product=${id}"]`);
  await page.waitForSelector(`a[href="#product=${gone}"]`, { state: "detached" });
  await close(page);
});

test("an order that the service does not know any more ends, and the next one can begin", async () => {
  const page = await open(1, { mayFail: true });
  await hold(page);
  await order(page);
  await service.kill("SIGTERM");
  rmSync(join(service.folder, "data"), { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  await service.startAgain();
  await page.reload();
  await page.waitForFunction(() => document.querySelector("#panel").textContent.includes("does not know your order any more"));
  await hold(page);
  await close(page);
});
