// The pictures of the README: the shop and the dashboard during a rush. `make pictures` takes them anew.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ADMIN_TOKEN, Browser, Service, close } from "./ground.mjs";

const FOLDER = join(import.meta.dirname, "../../target/screenshots");
const RUSH_MS = Number(process.env.RUSH_SECONDS ?? 60) * 1000;
const BUYERS = 12;
// The first are wanted most.
const SHELF = [["Runner 42", 40], ["Runner 43", 60], ["Runner 41", 60], ["Poster, signed", 20], ["Cap", 80], ["Tote bag", 100]];

let browser, service;
// A busy machine must not be seen in the pictures: Redis gets the time that it needs.
before(async () => { [browser, service] = [await Browser.start(), await Service.start({ FLASHSALE_REDIS__CALL_TIMEOUT_MS: "20000" })]; });
after(async () => { await browser?.stop(); await service?.stop(); });

const sleep = (ms) => new Promise((go) => setTimeout(go, ms));

async function setUp() {
  const sale = { id: "friday", name: "Friday drop", hold_seconds: 300, max_per_customer: 4 };
  await service.ask("POST", "/api/admin/sales", sale);
  const ids = [];
  // What the demo sells by itself is not of this drop.
  for (const id of [1, 2]) await service.ask("DELETE", `/api/admin/products/${id}`);
  for (const [name, units] of SHELF) {
    const product = { sale: "friday", name, price: name.startsWith("Runner") ? "120.00" : "25.00", currency: "USD", total_stock: units };
    ids.push((await service.ask("POST", "/api/admin/products", product)).body.id);
  }
  return ids;
}

/** Buys until the rush is over: most pay, some pay too little, some leave. */
async function buy(ids, buyer, rush) {
  for (let turn = 0; !rush.isOver; turn += 1) {
    const id = ids[Math.min(ids.length - 1, Math.floor(-Math.log(1 - Math.random()) * 1.6))];
    const customer = `customer-${buyer}-${turn}`;
    const hold = await service.ask("POST", "/api/holds", { product_id: id, quantity: 1, customer_id: customer });
    const chance = Math.random();
    if (hold.status === 201 && chance < 0.7) {
      const { body: order } = await service.ask("POST", "/api/orders", { hold_id: hold.body.id });
      const amount = Math.random() < 0.02 ? { amount: "20.00" } : {};
      if (chance < 0.6) await service.ask("POST", "/demo/payments", { order_id: order.id, event: "paid", ...amount });
    }
    await sleep(100 + 400 * Math.random());
  }
}

/** Takes a picture while the page has nothing to complain of. */
async function take(page, name) {
  await page.waitForSelector("#banner[hidden]", { state: "attached" });
  await page.screenshot({ path: join(FOLDER, `${name}.png`) });
}

test("the shop and the dashboard during a rush", async () => {
  mkdirSync(FOLDER, { recursive: true });
  const ids = await setUp();
  const shop = await browser.page(service, "/", { mayFail: true, viewport: { width: 1280, height: 720 } });
  const dashboard = await browser.page(service, "/dashboard", { mayFail: true, viewport: { width: 1280, height: 1000 } });
  await dashboard.fill("#token", ADMIN_TOKEN);
  await dashboard.keyboard.press("Enter");
  await dashboard.waitForSelector("#dashboard:not([hidden])");
  const rush = { isOver: false };
  const crowd = Promise.all(Array.from({ length: BUYERS }, (_, buyer) => buy(ids, buyer, rush)));
  await sleep(RUSH_MS);
  await shop.waitForSelector(`a[href="#product=${ids[0]}"]`);
  await take(dashboard, "readme-dashboard");
  rush.isOver = true;
  await crowd;
  await sleep(2000);
  await take(shop, "readme-shop");
  await close(shop);
  await close(dashboard);
});
