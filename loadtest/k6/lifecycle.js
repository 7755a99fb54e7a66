// Whole purchases: hold, order, payment event, and a read of the order. Fails unless every paid order is sold.
//   ORDERS (500)  VUS (20)  WEBHOOK_SECRET (none: events are not signed, as with --demo)
import { check } from 'k6';
import { Counter, Trend } from 'k6/metrics';
import { audit, count, createProduct, get, paid, post, send } from './lib.js';

const orders = count('ORDERS', 500);

const paidOrders = new Counter('paid');
const holdMs = new Trend('hold_ms', true);
const orderMs = new Trend('order_ms', true);
const paidMs = new Trend('paid_ms', true);
const readMs = new Trend('read_ms', true);

export const options = {
  scenarios: {
    lifecycle: {
      executor: 'shared-iterations',
      iterations: orders,
      vus: Math.min(orders, count('VUS', 20)),
      maxDuration: '60s',
    },
  },
  thresholds: {
    paid: [`count==${orders}`],
    checks: ['rate==1'],
    http_req_failed: ['rate==0'],
  },
};

export function setup() {
  return { product: createProduct('k6 lifecycle', orders) };
}

export default function ({ product }) {
  const held = send(post('/api/holds', { product_id: product, quantity: 1 }));
  holdMs.add(held.timings.duration);
  if (!check(held, { 'held: 201': (a) => a.status === 201 })) return;

  const ordered = send(post('/api/orders', { hold_id: held.json('id') }));
  orderMs.add(ordered.timings.duration);
  if (!check(ordered, { 'ordered: 201': (a) => a.status === 201 })) return;
  const order = ordered.json('id');

  const settled = send(paid(order));
  paidMs.add(settled.timings.duration);
  const applied = (a) => a.status === 200 && a.json('outcome') === 'applied';
  if (!check(settled, { 'event: applied': applied })) return;
  paidOrders.add(1);

  const read = get(`/api/orders/${order}`, '/api/orders/{id}');
  readMs.add(read.timings.duration);
  check(read, { 'order: paid': (a) => a.status === 200 && a.json('status') === 'paid' });
}

export function teardown({ product }) {
  audit(product, { sold_stock: orders, pending_stock: 0, held_stock: 0 });
}
