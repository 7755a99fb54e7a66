// Shared by the scripts: the address of the service, a product to sell, requests, and signed payment events.
import { check, fail } from 'k6';
import crypto from 'k6/crypto';
import encoding from 'k6/encoding';
import http from 'k6/http';

const url = __ENV.URL || 'http://127.0.0.1:8080';
const token = __ENV.ADMIN_TOKEN || '';
const secret = __ENV.WEBHOOK_SECRET || '';
// For a service that asks for a key. Payment events and admin routes need none.
const keyHeader = __ENV.API_KEY ? { 'X-Api-Key': __ENV.API_KEY } : {};
const key = secret && encoding.b64decode(secret.replace(/^whsec_/, ''));

// A whole number from the environment. Thresholds compare with constants, so it must be known before the run.
export function count(name, preset) {
  const number = Number(__ENV[name] || preset);
  if (!Number.isInteger(number) || number < 1 || number > 1000000) {
    throw new Error(`${name} must be a whole number from 1 to 1000000`);
  }
  return number;
}

// A POST for send() or http.batch(). A string is sent unchanged.
export function post(path, body, headers = {}) {
  return {
    method: 'POST',
    url: url + path,
    body: typeof body === 'string' ? body : JSON.stringify(body),
    params: { headers: { 'Content-Type': 'application/json', ...keyHeader, ...headers }, timeout: '10s', tags: { name: path } },
  };
}

export function send({ method, url, body, params }) {
  return http.request(method, url, body, params);
}

export function get(path, name) {
  return http.get(url + path, { headers: keyHeader, timeout: '10s', tags: { name } });
}

// A new product for each run, so that runs do not disturb each other. Ends the run if it cannot be created.
export function createProduct(name, units) {
  const product = { name, price: '1.00', currency: 'USD', total_stock: units };
  const made = send(post('/api/admin/products', product, { Authorization: `Bearer ${token}` }));
  if (made.status !== 201) {
    fail(`no product at ${url}: ${made.status} ${made.error || made.body}; is ADMIN_TOKEN the token of the service?`);
  }
  return made.json('id');
}

// Checks the sum of the product's figures and the script's other expectations. The threshold on checks makes them count.
export function audit(product, expected) {
  const read = get(`/api/products/${product}`, '/api/products/{id}');
  const stock = read.status === 200 ? read.json() : {};
  const given = stock.available_stock + stock.held_stock + stock.pending_stock + stock.sold_stock;
  let good = check(stock, { 'total = available + held + pending + sold': (s) => s.total_stock === given });
  for (const [name, units] of Object.entries(expected)) {
    good = check(stock, { [`${name} is ${units}`]: (s) => s[name] === units }) && good;
  }
  if (!good) console.error(`the figures are wrong: ${read.status} ${read.body}`);
}

// The event that an order was paid. It is the same for the same order, so that sending it again is a duplicate.
export function paid(order) {
  const id = `pay-${order}`;
  const body = JSON.stringify({ idempotency_key: id, payload: { status: 'paid', order_id: order } });
  return post('/api/payments/webhook', body, key ? signature(id, body) : {});
}

// The headers of the Standard Webhooks specification.
function signature(id, body) {
  const timestamp = String(Math.floor(Date.now() / 1000));
  const mac = crypto.hmac('sha256', key, `${id}.${timestamp}.${body}`, 'base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${mac}` };
}
