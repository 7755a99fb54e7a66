// More buyers than units, each with one request. Fails unless exactly the existing units are given out.
//   BUYERS (1050)  UNITS (1000)  VUS (100, requests at the same time)
//   EXPECT_UNITS (UNITS): the number that the run is judged by. Another number must make it fail, which shows that it can.
import { check } from 'k6';
import http from 'k6/http';
import { Counter } from 'k6/metrics';
import { audit, count, createProduct, post, send } from './lib.js';

const buyers = count('BUYERS', 1050);
const units = count('UNITS', 1000);
const expected = Math.min(buyers, count('EXPECT_UNITS', units));

const held = new Counter('held');
const refused = new Counter('refused');
const other = new Counter('other');

// A refusal is not a failure.
http.setResponseCallback(http.expectedStatuses(200, 201, 409));

export const options = {
  scenarios: {
    rush: {
      executor: 'shared-iterations',
      iterations: buyers,
      vus: Math.min(buyers, count('VUS', 100)),
      maxDuration: '60s',
    },
  },
  thresholds: {
    held: [`count==${expected}`],
    refused: [`count==${buyers - expected}`],
    other: ['count==0'],
    checks: ['rate==1'],
  },
};

export function setup() {
  return { product: createProduct('k6 rush', units) };
}

export default function ({ product }) {
  const answer = send(post('/api/holds', { product_id: product, quantity: 1 }));
  const soldOut = answer.status === 409 && answer.json('code') === 'insufficient_stock';
  const outcome = answer.status === 201 ? held : soldOut ? refused : other;
  outcome.add(1);
  check(outcome, { 'held or refused': (o) => o !== other });
}

export function teardown({ product }) {
  audit(product, { held_stock: expected, available_stock: Math.max(0, units - buyers) });
}
