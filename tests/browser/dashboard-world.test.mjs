// The dashboard where the world is not as it should be: a wrong clock, and two tabs.

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
