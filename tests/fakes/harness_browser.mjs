// Drives one page in headless Chromium: a JSON command a line on stdin, a JSON answer a line.

import { createRequire } from "node:module";
import readline from "node:readline";

const require = createRequire(`${process.env.TINYBMS_PAGE_MODULES}/`);
const { chromium } = require("playwright-core");
const axe = require("axe-core").source;

const browser = await chromium.launch({
  executablePath: process.env.TINYBMS_CHROMIUM,
  args: ["--no-sandbox", "--disable-dev-shm-usage"],
});
let page = null;
let context = null;
let problems = [];
let requests = [];

async function open({ url, width = 1280, height = 800, dark = false, language = "en" }) {
  await context?.close();
  problems = [];
  requests = [];
  context = await browser.newContext({
    viewport: { width, height }, colorScheme: dark ? "dark" : "light", locale: language,
    bypassCSP: false,
  });
  page = await context.newPage();
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(message.text());
  });
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("request", (request) => requests.push(request.url()));
  await page.goto(url, { waitUntil: "domcontentloaded" });
}

const COMMANDS = {
  open,
  run: ({ script }) => page.evaluate(script),
  // Not waitForFunction: it evaluates inside the page, whose policy forbids that.
  wait: async ({ script, timeout_s }) => {
    const end = Date.now() + timeout_s * 1000;
    while (!(await page.evaluate(script))) {
      if (Date.now() > end) throw new Error(`not within ${timeout_s} s: ${script}`);
      await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
    return true;
  },
  select: ({ id, value }) => page.selectOption(`#${id}`, value),
  screenshot: ({ path }) => page.screenshot({ path, fullPage: true }).then(() => true),
  problems: async () => problems,
  requests: async () => requests,
  axe: async () => {
    // The page's own policy forbids foreign scripts; the debugger's evaluation is not under it.
    await page.evaluate(axe);
    const found = await page.evaluate(() => window.axe.run());
    return found.violations
      .filter((item) => ["serious", "critical"].includes(item.impact))
      .map((item) => `${item.id}: ${item.nodes.map((node) => node.target).join(" ")}`);
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { command, ...values } = JSON.parse(line);
  let answer;
  try {
    answer = { value: (await COMMANDS[command](values)) ?? null };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
