// Clients and payment providers that send everything twice. For each order several visits race with the same Idempotency-Key
// and the same event, and each visit sends both twice at the same time. Fails unless each took effect exactly once.
//   ORDERS (200)  VISITS (4, of each order)  VUS (20)  WEBHOOK_SECRET (none: events are not signed, as with --demo)
import { check } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter } from 'k6/metrics';
import { audit, count, createProduct, paid, post, send } from './lib.js';

const orders = count('ORDERS', 200);
const visits = count('VISITS', 4);
const sent = orders * visits * 2;

const held = new Counter('held');
const replayed = new Counter('replayed');
const applied = new Counter('applied');
const duplicate = new Counter('duplicate');
const other = new Counter('other');

export const options = {
  scenarios: {
    duplicates: {
      executor: 'shared-iterations',
      iterations: orders * visits,
      vus: Math.min(orders * visits, count('VUS', 20)),
      maxDuration: '60s',
    },
  },
  thresholds: {
    held: [`count==${orders}`],
    replayed: [`count==${sent - orders}`],
    applied: [`count==${orders}`],
    duplicate: [`count==${sent - orders}`],
    other: ['count==0'],
    checks: ['rate==1'],
  },
};

// There are more units than orders, so that a second hold for a key would succeed and show.
export function setup() {
  return { product: createProduct('k6 duplicates', sent) };
}

export default function ({ product }) {
  // The visits of one order are neighbours in the count of all iterations, so that they run at the same time.
  const nth = Math.floor(exec.scenario.iterationInTest / visits);
  const hold = post('/api/holds', { product_id: product, quantity: 1 }, { 'Idempotency-Key': `hold-${product}-${nth}` });
  const holds = http.batch([hold, hold]);
  for (const answer of holds) {
    if (answer.status !== 201) other.add(1);
    else if (answer.headers['Idempotency-Replayed'] === 'true') replayed.add(1);
    else held.add(1);
  }
  const same = ([a, b]) => a.status === 201 && b.status === 201 && a.json('id') === b.json('id');
  if (!check(holds, { 'same key, same hold': same })) return;

  const ordered = send(post('/api/orders', { hold_id: holds[0].json('id') }));
  if (!check(ordered, { 'an order: 201, or 200 with that order': (a) => a.status === 201 || a.status === 200 })) {
    other.add(1);
    return;
  }

  const event = paid(ordered.json('id'));
  for (const settled of http.batch([event, event])) {
    const outcome = settled.status === 200 ? settled.json('outcome') : '';
    if (outcome === 'applied') applied.add(1);
    else if (outcome === 'duplicate') duplicate.add(1);
    else other.add(1);
  }
}

export function teardown({ product }) {
  audit(product, { sold_stock: orders, pending_stock: 0, held_stock: 0 });
}
