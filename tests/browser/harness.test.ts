import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect } from "vitest";
import { expectAccessible } from "./harness/expect-accessible.ts";
import { test, troubleOf } from "./harness/test.ts";

const PAGE = `<!doctype html><html lang="en"><head><title>A page</title>
<style>:root { color-scheme: light dark } @media (prefers-color-scheme: dark) { body { background: #111; color: #eee } }</style></head>
<body><main><h1>What is here</h1><p id="text">WWWWWWWWWW</p><p id="thin">iiiiiiiiii</p></main></body></html>`;

const PAGES: Record<string, string> = {
  "/": PAGE,
  "/unlabelled": PAGE.replace("<main>", "<main><input><button></button>"),
  "/throws": PAGE.replace("<main>", "<script>null.x</script><main>"),
  "/from-elsewhere": PAGE.replace("<main>", '<img alt="" src="http://cdn.example.org/x.png"><main>'),
};

const server = createServer((request, response) => {
  response.setHeader("content-type", "text/html; charset=utf-8");
  response.setHeader("content-security-policy", "script-src 'self' 'unsafe-inline'");
  response.end(PAGES[request.url ?? ""] ?? "");
});
let url: string;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => void server.close());

test("text is rendered with letters of different widths", async ({ page }) => {
  await page.goto(url);
  const [wide, thin] = await page.evaluate(() =>
    ["text", "thin"].map((id) => {
      const range = document.createRange();
      range.selectNodeContents(document.getElementById(id)!);
      return range.getBoundingClientRect().width;
    }),
  );
  expect(thin).toBeGreaterThan(10);
  expect(wide).toBeGreaterThan(thin! * 2);
});

test("a page has the theme and the language that were asked for", async ({ openPage }) => {
  const read = async (look: Parameters<typeof openPage>[0]) => {
    const page = await openPage(look);
    await page.goto(url);
    return page.evaluate(() => [navigator.language, getComputedStyle(document.body).backgroundColor]);
  };
  expect(await read({ theme: "dark", language: "it" })).toEqual(["it-IT", "rgb(17, 17, 17)"]);
  expect(await read({})).toEqual(["en-GB", "rgba(0, 0, 0, 0)"]);
});

test("a page that is accessible passes, one with a field and a button without names does not", async ({ page }) => {
  await page.goto(url);
  await expectAccessible(page);
  await page.goto(`${url}/unlabelled`);
  await expect(expectAccessible(page)).rejects.toThrow(/button-name[\s\S]*label/);
});

test("an error of a script and what would come from elsewhere are noted", async ({ page }) => {
  await page.goto(`${url}/throws`);
  expect(troubleOf(page).splice(0)).toEqual([expect.stringContaining("Cannot read properties of null")]);
  await page.goto(`${url}/from-elsewhere`);
  expect(troubleOf(page).splice(0)).toEqual([expect.stringContaining("cdn.example.org")]);
});
