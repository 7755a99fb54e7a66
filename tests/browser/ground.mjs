// The ground of the browser tests: a real service with its own Redis, a real Chromium, and pages that allow no error.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const ROOT = join(import.meta.dirname, "../..");
const PROGRAM = process.env.FLASHSALE_PROGRAM ?? join(ROOT, "target/debug/flashsale");
export const SHOTS = join(ROOT, "target/screenshots");
const AXE = readFileSync(join(import.meta.dirname, "node_modules/axe-core/axe.min.js"), "utf8");
export const ADMIN_TOKEN = "a-token-of-browser-tests";
export const READ_TOKEN = "a-reading-token-of-tests";

const sleep = (ms) => new Promise((go) => setTimeout(go, ms));

/** Waits for a condition, as long as a slow machine may need. */
export async function eventually(what, condition) {
  for (const started = Date.now(); !(await condition()); await sleep(50)) {
    assert.ok(Date.now() - started < 60_000, `${what}: still not so after a minute`);
  }
}

export function freePort() {
  return new Promise((found) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => found(port));
    });
  });
}

/** A service of the demo, in a folder of its own. */
export class Service {
  static async start(settings = {}) {
    const service = new Service();
    service.folder = mkdtempSync(join(tmpdir(), "fs"));
    service.url = `http://127.0.0.1:${await freePort()}`;
    service.settings = settings;
    await service.startAgain();
    return service;
  }

  async startAgain() {
    const env = {
      PATH: process.env.PATH,
      FLASHSALE_HTTP__ADDR: new URL(this.url).host,
      FLASHSALE_HTTP__WORKERS: "2",
      FLASHSALE_REDIS__DATA_DIR: join(this.folder, "data"),
      FLASHSALE_ADMIN__TOKEN: ADMIN_TOKEN,
      FLASHSALE_ADMIN__READ_TOKENS: READ_TOKEN,
      ...this.settings,
    };
    this.process = spawn(PROGRAM, ["serve", "--demo"], { env, cwd: this.folder, stdio: "ignore" });
    this.ended = new Promise((end) => this.process.once("exit", end));
    await eventually("the service is ready", async () => (await fetch(`${this.url}/readyz`).catch(() => null))?.ok);
  }

  async kill(signal = "SIGKILL") {
    this.process.kill(signal);
    return this.ended;
  }

  async stop() {
    await this.kill("SIGTERM");
    // The guard ends the embedded Redis a moment later.
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  async ask(method, path, body, headers = {}) {
    const admin = path.startsWith("/api/admin") ? { authorization: `Bearer ${ADMIN_TOKEN}` } : {};
    const answer = await fetch(this.url + path, {
      method,
      headers: { ...(body ? { "content-type": "application/json" } : {}), ...admin, ...headers },
      body: body && JSON.stringify(body),
    });
    const text = await answer.text();
    return { status: answer.status, body: text && JSON.parse(text) };
  }

  /** A product of a sale of its own with these terms. Gives its id. */
  async offer(name, units, terms = {}, more = {}) {
    const sale = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
    assert.ok((await this.ask("POST", "/api/admin/sales", { id: sale, ...terms })).status < 300);
    const product = { sale, name, price: "50.00", currency: "USD", total_stock: units, ...more };
    const made = await this.ask("POST", "/api/admin/products", product);
    assert.equal(made.status, 201, JSON.stringify(made));
    return made.body.id;
  }

  async stock(id) {
    const { body } = await this.ask("GET", `/api/products/${id}`);
    return ["available", "held", "pending", "sold"].map((name) => body[`${name}_stock`]);
  }
}

/** In the page: the clock of a device that is wrong. */
function setClock(aheadMs) {
  const Real = Date;
  globalThis.Date = class extends Real {
    constructor(...parts) { if (parts.length) super(...parts); else super(Real.now() + aheadMs); }
    static now() { return Real.now() + aheadMs; }
  };
}

export class Browser {
  static async start() {
    const browser = new Browser();
    browser.browser = await chromium.launch({
      executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync"],
    });
    return browser;
  }

  stop() {
    return this.browser.close();
  }

  /** A page of a person of its own, or another tab of a `context`, on a device whose clock is ahead. `mayFail`: the test takes the service away. `mayWait`: a call may be answered 503 with Retry-After. A refusal (4xx) of a call is no fault of the page. */
  async page(service, path = "/", { mayFail = false, mayWait = false, aheadMs = 0, context = null, ...options } = {}) {
    context ??= await this.browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    if (aheadMs) await context.addInitScript(setClock, aheadMs);
    // For a machine on which twenty browsers take turns.
    context.setDefaultTimeout(60_000);
    const page = await context.newPage();
    page.faults = [];
    page.on("pageerror", (error) => page.faults.push(`error: ${error.message}`));
    page.on("console", (message) => {
      // Chromium writes each answer that is no success into the console: see below.
      const isAnswer = message.text().startsWith("Failed to load resource: the server responded");
      const isGone = mayFail && message.text().startsWith("Failed to load resource: net::");
      if (["error", "warning"].includes(message.type()) && !isAnswer && !isGone) page.faults.push(`console: ${message.text()}`);
    });
    page.on("response", (answer) => {
      const isLater = mayWait && answer.status() === 503 && answer.headers()["retry-after"] !== undefined;
      const isRefusal = (answer.status() < 500 || isLater) && new URL(answer.url()).pathname.startsWith("/api/");
      if (answer.status() >= 400 && !isRefusal && !mayFail) page.faults.push(`${answer.status()} of ${answer.url()}`);
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(service.url)) page.faults.push(`a request to ${request.url()}`);
    });
    await page.goto(service.url + path);
    return page;
  }
}

/** Ends a page, which must have had no fault. */
export async function close(page) {
  assert.deepEqual(page.faults, []);
  await page.context().close();
}

/** No violation of what axe knows of accessibility. */
export async function isAccessible(page, what) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(" ")).join("; ")}`);
  assert.deepEqual(found, [], what);
}

/** Looks at it in light and dark, on a desk and on a phone, and keeps the pictures in target/screenshots. */
export async function looks(page, name) {
  mkdirSync(SHOTS, { recursive: true });
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    for (const [device, width, height] of [["desk", 1280, 900], ["phone", 390, 844]]) {
      await page.setViewportSize({ width, height });
      await isAccessible(page, `${name}, ${colorScheme}, ${device}`);
      await page.screenshot({ path: join(SHOTS, `${name}-${colorScheme}-${device}.png`), fullPage: true });
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(overflow, 0, `${name} is wider than a ${device}`);
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1280, height: 900 });
}
