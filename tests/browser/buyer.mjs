// What a buyer does in the shop, step by step.

export async function hold(page, quantity = 1) {
  await page.waitForSelector("#hold:not([disabled])");
  await page.fill("#quantity", String(quantity));
  await page.click("#hold");
  await page.waitForSelector("#order");
}

export async function order(page) {
  await page.click("#order");
  await page.waitForSelector("#pay");
}

export const receipt = (page, words) => page.waitForFunction((words) => document.querySelector("#panel").textContent.includes(words), words);
