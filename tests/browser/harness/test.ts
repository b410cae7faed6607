import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { expect, test as base } from "vitest";
import { launchBrowser } from "./browser.ts";

/** How a person's browser is set. */
export interface Look {
  readonly theme?: "light" | "dark";
  readonly language?: "en" | "it";
}

const FAILURES = fileURLToPath(new URL("../../../node_modules/.cache/browser-failures", import.meta.url));

const trouble = new WeakMap<Page, string[]>();

/** What the page's console and scripts complained of; a test that expects some takes it away. */
export function troubleOf(page: Page): string[] {
  return trouble.get(page) ?? [];
}

/**
 * A test with a `page` of its own in one Chromium per test file; `openPage` gives more of them, each a person of its own.
 *
 * Fails when a page's console has an error at the end. Leaves a picture of each page of a test that failed.
 */
export const test = base
  .extend("browser", { scope: "file" }, async ({}, { onCleanup }) => {
    const browser = await launchBrowser();
    onCleanup(() => browser.close());
    return browser;
  })
  .extend("openPage", ({ browser, task }, { onCleanup }) => {
    const pages: Page[] = [];
    onCleanup(async () => {
      if (task.result?.state === "fail") await keepPictures(task.name, pages);
      const all = pages.flatMap(troubleOf);
      await Promise.all(pages.map((page) => page.context().close()));
      if (task.result?.state !== "fail") expect(all, "errors in the page's console").toEqual([]);
    });
    return async (look: Look = {}): Promise<Page> => {
      const page = await open(browser, look);
      pages.push(page);
      return page;
    };
  })
  .extend("page", ({ openPage }) => openPage());

async function open(browser: Browser, { theme = "light", language = "en" }: Look): Promise<Page> {
  const context = await browser.newContext({
    colorScheme: theme,
    locale: language === "it" ? "it-IT" : "en-GB",
    viewport: { width: 1_280, height: 800 },
    // Times on a page do not depend on where the tests run.
    timezoneId: "UTC",
    // What moves is not measured half-way.
    reducedMotion: "reduce",
  });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  const list: string[] = [];
  trouble.set(page, list);
  page.on("console", (message) => {
    if (message.type() === "error") list.push(`${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => list.push(error.stack ?? error.message));
  return page;
}

async function keepPictures(name: string, pages: readonly Page[]): Promise<void> {
  await mkdir(FAILURES, { recursive: true });
  for (const [index, page] of pages.entries()) {
    const file = join(FAILURES, `${name.replaceAll(/\W+/g, "-").slice(0, 80)}-${index}.png`);
    await page.screenshot({ path: file, fullPage: true }).then(
      () => console.log(`picture of the page at the end of "${name}": ${file}\n${troubleOf(page).join("\n")}`),
      () => undefined,
    );
  }
}
