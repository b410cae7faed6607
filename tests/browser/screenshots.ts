// Makes pictures of the console, of a Penstock that is started for it and has had something to do:
//
//   node tools/run.mjs screenshots              the ones in README.md
//   node tools/run.mjs screenshots <folder>     every page, in both themes, into a folder
import { execFile, spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Browser } from "playwright-core";
import { launchBrowser } from "./harness/browser.ts";

const root = join(import.meta.dirname, "../..");
const PAGES = ["overview", "events", "issues", "sources", "composer", "endpoints", "handlers", "database", "settings"];
const IN_README = [
  { page: "events", theme: "light" },
  { page: "endpoints", theme: "dark" },
] as const;

const parent = await mkdtemp(join(tmpdir(), "penstock-screenshots-"));
await chmod(parent, 0o755); // as root, Postgres runs as another user inside it
const env = { ...process.env, PENSTOCK_HOME: join(parent, ".penstock"), INGEST_PORT: "0", CONSOLE_PORT: "0" };
const main = ["--conditions=@penstock/source", join(root, "apps/cli/src/main.ts")];
const penstock = async (...args: string[]): Promise<string> =>
  (await promisify(execFile)(process.execPath, [...main, ...args], { env, cwd: root })).stdout.trim();

const receiver = createServer((request, response) => {
  // One receiver in two is in trouble now and then.
  const fails = request.url === "/crm" && Math.random() < 0.2;
  request.resume().on("end", () => response.writeHead(fails ? 503 : 200).end(fails ? "busy" : "ok"));
});
await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
const hooks = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
const started = spawn(process.execPath, [...main, "start"], { env, cwd: root, stdio: ["ignore", "pipe", "inherit"] });
try {
  await new Promise<void>((resolve, reject) => {
    let said = "";
    started.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes("Ctrl-C")) resolve();
    });
    started.once("close", () => reject(new Error(`penstock start has ended:\n${said}`)));
  });
  await penstock("endpoints", "add", `${hooks}/warehouse`, "--description", "Events into the warehouse");
  await penstock(
    "endpoints",
    "add",
    `${hooks}/crm`,
    "--description",
    "CRM",
    "--types",
    "message.received,contact.created",
  );
  for (const type of ["message.received", "contact.created", "message.sent", "conversation.opened"]) {
    await penstock("send", type, "--count", "40", "--rate", "40");
  }
  const browser = await launchBrowser();
  try {
    await takeAll(browser);
  } finally {
    await browser.close();
  }
} finally {
  started.kill("SIGTERM");
  await new Promise((resolve) => (started.exitCode === null ? started.once("close", resolve) : resolve(null)));
  receiver.close();
  await rm(parent, { recursive: true, force: true, maxRetries: 5 });
}

async function takeAll(browser: Browser): Promise<void> {
  const [folder] = process.argv.slice(2);
  const target = folder ?? join(root, "docs/images");
  await mkdir(target, { recursive: true });
  const wanted =
    folder === undefined
      ? IN_README
      : PAGES.flatMap((page) => [{ page, theme: "light" } as const, { page, theme: "dark" } as const]);
  for (const theme of ["light", "dark"] as const) {
    const context = await browser.newContext({
      colorScheme: theme,
      locale: "en-GB",
      viewport: { width: 1_280, height: 800 },
      reducedMotion: "reduce",
    });
    const page = await context.newPage();
    const link = await penstock("console", "link");
    await page.goto(link);
    await page.getByRole("navigation").waitFor();
    for (const each of wanted) {
      if (each.theme !== theme) continue;
      await page.goto(new URL(each.page, link.replace(/sign-in.*/, "")).href);
      await page.getByRole("heading", { level: 1 }).waitFor();
      await page.waitForLoadState("networkidle");
      const file = join(target, `console-${each.page}${folder === undefined ? "" : `-${theme}`}.png`);
      await page.screenshot({ path: file });
      console.log(file);
    }
    await context.close();
  }
}
