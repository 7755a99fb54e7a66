// Calls functions of a program of the documents, as driver.py does.

import { createInterface } from "node:readline";

const program = await import(process.argv[2]);
const api = new URL(process.env.STRIPE_API);
// The library takes the host only when the client is made, and the program makes it as a shop does.
for (const [field, value] of [["protocol", "http"], ["host", api.hostname], ["port", api.port]]) {
  program.stripe._setApiField(field, value);
}

for await (const line of createInterface({ input: process.stdin })) {
  const [name, given] = JSON.parse(line);
  const inner = name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
  let answer;
  try {
    answer = { value: await program[inner](...given) };
  } catch (error) {
    if (error.status) answer = { status: error.status };
    else if (error.message.startsWith("Stripe cannot charge")) answer = { wrong: error.message };
    else throw error;
  }
  console.log(JSON.stringify(answer));
}
