// The dashboard, in a real browser.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { ADMIN_TOKEN, Browser, READ_TOKEN, Service, close, eventually, freePort, looks } from "./ground.mjs";

let browser, service;
before(async () => { [browser, service] = [await Browser.start(), await Service.start()]; });
after(async () => { await browser?.stop(); await service?.stop(); });

async function signedIn(token = ADMIN_TOKEN, { of = service, query = "", ...options } = {}) {
  const page = await browser.page(of, `/dashboard${query}`, options);
  await page.fill("#token", token);
  await page.keyboard.press("Enter");
  await page.waitForSelector("#dashboard:not([hidden])");
  return page;
}

const tile = (page, name) => page.textContent(`[data-tile="${name}"]`);
const shows = (page, selector, words) =>
  page.waitForFunction(([selector, words]) => document.querySelector(selector)?.textContent.includes(words), [selector, words]);

/** A purchase up to its order. Gives the order's id. */
async function ordered(id, customer) {
  const hold = await service.ask("POST", "/api/holds", { product_id: id, quantity: 1, customer_id: customer });
  assert.equal(hold.status, 201, JSON.stringify(hold));
  const order = await service.ask("POST", "/api/orders", { hold_id: hold.body.id });
  return order.body.id;
}

const pay = (order, more = {}) => service.ask("POST", "/demo/payments", { order_id: order, event: "paid", ...more });

test("whoever has no token sees nothing, and a wrong one is refused", async () => {
  const page = await browser.page(service, "/dashboard", { mayFail: true });
  await page.waitForSelector("#sign-in:not([hidden])");
  await looks(page, "sign-in");
  await page.fill("#token", "a-token-of-nobody-at-all");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#sign-in-problem:not([hidden])");
  assert.ok(await page.isHidden("#dashboard"));
  assert.ok(!page.url().includes("token"));
  await close(page);
});

test("in a rush the figures move, and they are those of the service", async () => {
  const id = await service.offer("Rush of the day", 40);
  const page = await signedIn();
  await eventually("the tiles have figures", async () => /^\d/.test(await tile(page, "held")));
  const before = Number(await tile(page, "held"));
  const answers = await Promise.all(Array.from({ length: 60 }, () => service.ask("POST", "/api/holds", { product_id: id, quantity: 1 })));
  assert.equal(answers.filter(({ status }) => status === 201).length, 40);
  await eventually("the tile of held units says so", async () => Number(await tile(page, "held")) === before + 40);
  await shows(page, "#reasons", "all held");
  await shows(page, "#product-rows", "Rush of the day");
  await page.waitForSelector("#plot-holds canvas");
  await looks(page, "dashboard");
  await close(page);
});

test("a review is accepted, and the order is paid", async () => {
  const id = await service.offer("Of a review", 5);
  const order = await ordered(id, "ann");
  await pay(order, { amount: "20.00" });
  const page = await signedIn();
  await shows(page, "#review-list", "amount");
  await page.click("#review-list button:has-text('Accept')");
  await page.waitForSelector("#dialog[open]");
  await looks(page, "review");
  await page.fill("#dialog textarea", "the rest came in cash");
  await page.click("#dialog-do");
  await eventually("the order is paid", async () => (await service.ask("GET", `/api/orders/${order}`)).body.status === "paid");
  await page.waitForSelector("#dialog:not([open])", { state: "attached" });
  await shows(page, "#event-list", "review");
  await page.fill("#order-text", "ann");
  await page.click("#order-search button.main");
  await shows(page, "#order-found", order);
  await close(page);
});

test("orders are counted by their state, and the events go back to the first", async () => {
  const id = await service.offer("Much happens", 400);
  for (let n = 0; n < 230; n++) await ordered(id, `of many ${n}`);
  const paid = await ordered(id, "who pays");
  await pay(paid);
  const page = await signedIn();
  const state = (name) => page.$$eval("#states tr", (rows, name) => rows.find((row) => row.dataset.key === name)?.children[1].textContent, name);
  const listed = await service.ask("GET", "/api/admin/orders?status=paid&limit=100");
  assert.ok(listed.body.data.some((order) => order.id === paid));
  await eventually("the orders are counted", async () => await state("paid") === String(listed.body.data.length));
  // The page begins with the newest 200, and reads the others when somebody wants them.
  await shows(page, "#event-list", "order paid");
  // A filter looks only at what was read, says so, and reads further back until something fits.
  await page.selectOption("#event-kind", "sale product");
  await shows(page, "#event-span", "None in the last 200 events read.");
  await page.click("#event-older:has-text('Search further back')");
  await shows(page, "#event-list", "product created");
  assert.match(await page.textContent("#event-span"), /^\d+ in (all|the last) \d+ events read\./);
  const first = () => page.$$eval("#event-list li", (rows) => rows.some((row) => row.textContent.includes("product created") && row.textContent.includes("Last pairs")));
  while (await page.isVisible("#event-older")) {
    await page.click("#event-older");
    await page.waitForFunction(() => !document.querySelector("#event-older").disabled);
  }
  assert.ok(await first());
  await shows(page, "#event-span", " in all ");
  const times = await page.$$eval("#event-list time", (times) => times.map((time) => time.dateTime));
  assert.deepEqual(times, [...times].sort().reverse());
  assert.equal(new Set(await page.$$eval("#event-list li", (rows) => rows.map((row) => row.dataset.key))).size, times.length);
  await close(page);
});

test("a sale is paused and resumed, and a product restocked, once each", async () => {
  const id = await service.offer("To restock", 5);
  const page = await signedIn();
  await page.fill("#product-text", "To restock");
  await page.waitForFunction(() => {
    const rows = document.querySelectorAll("#product-rows tr");
    return rows.length === 1 && rows[0].textContent.includes("To restock");
  });
  await page.click("#product-rows button:text-is('Pause sale')");
  await page.click("#dialog-do");
  await eventually("it is paused", async () => (await service.ask("GET", `/api/products/${id}`)).body.status === "paused");
  await page.click("#product-rows button:text-is('Resume sale')");
  await page.click("#dialog-do");
  await eventually("it is live", async () => (await service.ask("GET", `/api/products/${id}`)).body.status === "live");
  await page.click("#product-rows button:has-text('Restock')");
  await page.waitForSelector("#dialog[open] input");
  await page.fill("#dialog input[type=number]", "7");
  await page.click("#dialog-do");
  await eventually("it has more units", async () => (await service.stock(id))[0] === 12);
  await close(page);
});

test("a search of orders stays what the person chose, and says what was not found", async () => {
  const sold = await service.offer("Found by SKU", 5, {}, { sku: "FOUND-1" });
  await service.offer("Never ordered", 5, {}, { sku: "NEVER-1" });
  const order = await ordered(sold, "who is looked for");
  const page = await signedIn();
  const search = async (text) => { await page.fill("#order-text", text); await page.click("#order-search button.main"); };
  await page.selectOption("#order-by", "customer");
  await page.click(`#event-list button[title="Look for order ${order}"]`);
  await shows(page, "#order-found", order);
  assert.equal(await page.inputValue("#order-by"), "customer");
  // What is opened so can be looked for again.
  await page.click("#order-clear");
  await search("who is looked for");
  await shows(page, "#order-note", "1 order of this customer.");
  await search("nobody");
  await shows(page, "#order-note", "No order is of this customer.");
  for (const [by, text, words] of [
    ["sku", "FOUND-1", "1 order with this SKU."], ["sku", "NEVER-1", "No order has this SKU."],
    ["sku", "UNKNOWN-1", "No order has this SKU. No product has it either."], ["payment", "pi_unknown", "No order has this payment."],
    ["order", "order_unknown", "No order has this id."], ["any", "NEVER-1", "No order has this SKU."],
    ["any", "UNKNOWN-1", "No order, payment, customer or SKU is called so."],
  ]) {
    await page.selectOption("#order-by", by);
    await search(text);
    await page.waitForFunction((words) => document.querySelector("#order-note").textContent === words, words);
  }
  await close(page);
});

test("a list of events that is frozen stays as it is, and goes on with what came", async () => {
  const page = await signedIn();
  await page.waitForSelector("#event-list li");
  await page.click("#event-freeze:text-is('Freeze')");
  await service.offer("Made while frozen", 5);
  await shows(page, "#event-note", "2 newer events came.");
  const isListed = async () => (await page.textContent("#event-list")).includes("Made while frozen");
  assert.ok(!(await isListed()));
  await page.click("#event-freeze:text-is('Go on')");
  assert.ok(await isListed());
  await close(page);
});

test("what one jumps to stands below the header, however many lines it has", async () => {
  const page = await signedIn();
  await page.waitForSelector("#product-rows tr");
  for (const width of [1280, 1000, 800, 390]) {
    await page.setViewportSize({ width, height: 700 });
    for (const part of ["reviews", "products", "orders"]) {
      await page.click(`nav a[href='#${part}']`);
      await eventually(`${part} is in sight where the page is ${width} wide`, () => page.$eval(`#${part}-title`, (title) => {
        const { left, top } = title.getBoundingClientRect();
        return title.contains(document.elementFromPoint(left + 5, top + 5));
      }));
    }
  }
  await close(page);
});

test("a token that may look sees everything and changes nothing", async () => {
  const page = await signedIn(READ_TOKEN);
  const asked = [];
  page.on("request", (request) => { if (request.method() !== "GET") asked.push(request.url()); });
  await page.waitForSelector("#reading:not([hidden])");
  await page.waitForSelector("#product-rows tr");
  const named = await page.$$eval("main button", (buttons) => buttons.filter((button) => !button.disabled && button.offsetParent).map((button) => button.textContent.trim()));
  for (const word of ["Accept", "Refund", "Dismiss", "Pause sale", "Restock"]) {
    assert.ok(!named.some((name) => name.startsWith(word)), `${word} among ${named}`);
  }
  assert.deepEqual(asked, [], "it changes nothing to learn what it may do");
  await close(page);
});

test("thousands of products do not break it", async () => {
  const row = (n) => JSON.stringify({ sku: `MANY-${n}`, name: `Of many ${n}`, price: "5.00", total_stock: 3, sale: "many" });
  for (const first of [0, 750]) {
    const body = Array.from({ length: 750 }, (_, n) => row(first + n)).join("\n");
    const headers = { "content-type": "application/x-ndjson", authorization: `Bearer ${ADMIN_TOKEN}` };
    const imported = await fetch(`${service.url}/api/admin/import`, { method: "POST", body, headers });
    assert.ok(imported.ok, await imported.text());
  }
  const page = await browser.page(service, "/dashboard");
  // As long as the page has not read all products, the service looks for a name.
  let readOn;
  const held = new Promise((go) => { readOn = go; });
  await page.route(/cursor=/, async (route) => {
    if (!route.request().url().includes("search=")) await held;
    await route.continue();
  });
  await page.fill("#token", ADMIN_TOKEN);
  await page.keyboard.press("Enter");
  await page.waitForSelector("#product-rows tr");
  await page.fill("#product-text", "many-1234");
  await shows(page, "#product-rows", "Of many 1234");
  readOn();
  await page.fill("#product-text", "");
  await shows(page, "#product-note", " products");
  await page.fill("#product-text", "OF MANY 12");
  await shows(page, "#product-note", "111 found");
  assert.ok(await page.evaluate(() => document.querySelectorAll("#product-rows tr").length) <= 100);
  // They scroll within their own box, and the heads of the columns stay.
  const [isBounded, stays] = await page.$eval("#product-scroll", (box) => {
    box.scrollTop = box.scrollHeight;
    const top = (element) => element.getBoundingClientRect().top;
    return [box.scrollTop > 0 && box.offsetHeight < innerHeight, Math.abs(top(box.querySelector("thead th")) - top(box)) < 3];
  });
  assert.ok(isBounded && stays);
  await looks(page, "many-products");
  await close(page);
});

test("while Redis hangs nobody can decide a review, and the page says so in its own words", async () => {
  const port = await freePort();
  const redis = spawn("redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--maxmemory-policy", "noeviction"], { stdio: "ignore" });
  const own = await Service.start({ FLASHSALE_REDIS__URL: `redis://127.0.0.1:${port}/` });
  try {
    const page = await signedIn(ADMIN_TOKEN, { of: own, mayFail: true });
    const payload = { status: "paid", order_id: "of-nobody", payment_id: "pay-1" };
    const kept = await own.ask("POST", "/api/payments/webhook", { idempotency_key: "money-1", payload });
    assert.equal(kept.status, 200, JSON.stringify(kept));
    await shows(page, "#review-list", "an unknown amount (the event carried none)");
    const canDecide = () => page.$$eval("#review-list button, #product-rows button", (all) =>
      all.filter((button) => !button.disabled && ["Refund", "Dismiss", "Pause sale"].includes(button.textContent)).length);
    await eventually("the buttons are there", async () => await canDecide() >= 3);
    redis.kill("SIGSTOP");
    await page.waitForSelector("#banner:not([hidden])");
    await eventually("no button can be used", async () => await canDecide() === 0);
    const words = "These reviews are from before, and nobody can decide them until the service answers again.";
    assert.equal(await page.textContent("#review-note"), words);
    await looks(page, "redis-away");
    redis.kill("SIGCONT");
    await page.waitForSelector("#banner[hidden]", { state: "attached" });
    await eventually("the buttons can be used", async () => await canDecide() >= 3);
    assert.equal(await page.textContent("#review-note"), "");
    await close(page);
  } finally {
    redis.kill("SIGCONT");
    await own.stop();
    redis.kill();
  }
});

test("a service that is killed is missed, and the wall goes on when it is back", async () => {
  const own = await Service.start();
  try {
    const page = await signedIn(ADMIN_TOKEN, { of: own, query: "?view=wall", mayFail: true });
    await page.waitForFunction(() => document.querySelector("#state").dataset.state !== "unknown");
    await own.offer("Many units", 98_765_432);
    await shows(page, "[data-tile=available]", "98,765,");
    const cutOff = () => page.$$eval(".tile dd", (all) => all.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent));
    assert.deepEqual(await cutOff(), [], "a number that is cut off is a wrong number");
    await looks(page, "wall");
    assert.deepEqual(await cutOff(), []);
    await own.kill();
    await page.waitForSelector("#banner:not([hidden])");
    await own.startAgain();
    await page.waitForSelector("#banner[hidden]", { state: "attached", timeout: 60_000 });
    await close(page);
  } finally {
    await own.stop();
  }
});

test("the dashboard is small", async () => {
  const page = await signedIn();
  await page.waitForSelector("#product-rows tr");
  const bytes = await page.evaluate(() => performance.getEntriesByType("resource")
    .concat(performance.getEntriesByType("navigation")).filter((entry) => /assets|dashboard$/.test(entry.name))
    .reduce((sum, entry) => sum + entry.decodedBodySize, 0));
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  console.log(`dashboard: ${bytes} bytes, first paint after ${Math.round(paint)} ms`);
  assert.ok(bytes > 50_000 && bytes < 300_000, `${bytes} bytes`);
  await close(page);
});
