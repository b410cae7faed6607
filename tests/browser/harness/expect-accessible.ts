import axe from "axe-core";
import type { Page } from "playwright-core";
import { expect } from "vitest";

/** Fails on what axe finds of impact serious or critical (WCAG 2.2, A and AA), with the elements that it is about. */
export async function expectAccessible(page: Page): Promise<void> {
  // By the debugger, as the page's policy of contents lets no script in.
  await page.evaluate(axe.source);
  const { violations, passes } = await page.evaluate(async () => {
    const run = (window as unknown as { axe: typeof axe }).axe;
    return run.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
      resultTypes: ["violations"],
    });
  });
  // A page on which nothing could be looked at would pass.
  expect(passes.length).toBeGreaterThan(0);
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const found = serious.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(" ")}`);
  expect(found, [`findings of axe at ${page.url()}`, ...found].join("\n")).toEqual([]);
}
