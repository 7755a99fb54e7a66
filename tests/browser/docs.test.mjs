// The page that shows the interface, in a real browser.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Browser, SHOTS, Service, close } from "./ground.mjs";

let browser, service;
mkdirSync(SHOTS, { recursive: true });
before(async () => { [browser, service] = [await Browser.start(), await Service.start()]; });
after(async () => { await browser?.stop(); await service?.stop(); });

test("every operation is shown, and a call can be tried", async () => {
  const { body: document } = await service.ask("GET", "/openapi.json");
  const known = Object.values(document.paths).flatMap((methods) => Object.values(methods)).map((one) => one.operationId).filter(Boolean);
  const page = await browser.page(service, "/docs");
  await page.waitForSelector("#operations-Products-listProducts");
  const shown = await page.$$eval(".opblock", (blocks) => blocks.map((block) => block.id.split("-").pop()));
  assert.deepEqual(shown.toSorted(), known.toSorted());
  const block = "#operations-Products-readProduct";
  await page.click(`${block} .opblock-summary`);
  await page.click(`${block} .try-out__btn`);
  await page.fill(`${block} tr[data-param-name=id] input`, "1");
  await page.click(`${block} .execute`);
  const answer = await page.waitForSelector(`${block} .live-responses-table .highlight-code`);
  assert.match(await answer.textContent(), /available_stock/);
  await close(page);
});

test("a call that is tried sends nothing that nobody wrote", async () => {
  const page = await browser.page(service, "/docs");
  const block = "#operations-Holds-createHold";
  await page.waitForSelector(block);
  await page.click(`${block} .opblock-summary`);
  await page.click(`${block} .try-out__btn`);
  const inputs = await page.$$eval(`${block} .parameters input`, (all) => all.map((input) => input.value));
  assert.ok(inputs.length > 0 && inputs.every((value) => value === ""), JSON.stringify(inputs));
  await close(page);
});

test("it follows the colours of the person, and names nobody outside", async () => {
  const page = await browser.page(service, "/docs", { colorScheme: "dark" });
  await page.waitForSelector("#operations-Products-listProducts");
  await page.screenshot({ path: join(SHOTS, "docs-dark.png") });
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await ground();
  await page.emulateMedia({ colorScheme: "light" });
  // It comes with the next look at the page.
  await page.waitForFunction((before) => getComputedStyle(document.body).backgroundColor !== before, dark);
  await page.screenshot({ path: join(SHOTS, "docs-light.png") });
  const outside = await page.$$eval("[src], link[href]", (named) => named.map((one) => one.src || one.href)
    .filter((address) => !address.startsWith(location.origin) && !address.startsWith("data:")));
  assert.deepEqual(outside, []);
  await close(page);
});
