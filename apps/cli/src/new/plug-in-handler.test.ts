import { expect, test } from "vitest";
import { plugInHandler } from "./plug-in-handler.ts";

const greetings = { package: "@penstock/handler-greetings", identifier: "greetings", entry: "greetings" };

test.each([
  [
    `import inbox from "@penstock/handler-inbox";\n\n// What.\nexport default defineConfig({ handlers: [inbox] });\n`,
    `import inbox from "@penstock/handler-inbox";\nimport greetings from "@penstock/handler-greetings";\n\n// What.\nexport default defineConfig({ handlers: [inbox, greetings] });\n`,
  ],
  [`export default defineConfig({ handlers: [] });`, /handlers: \[greetings\]/],
  [
    `defineConfig({\n  handlers: [\n    inbox,\n    notify({ to: ["a"] }),\n  ],\n});`,
    /notify\({ to: \["a"\] }\), greetings\]/,
  ],
])("a handler is imported after the others and listed as the last one", (text, expected) => {
  const outcome = plugInHandler(text, greetings);
  if (typeof expected === "string") expect(outcome).toEqual({ ok: true, text: expected });
  else expect(outcome).toMatchObject({ ok: true, text: expect.stringMatching(expected) });
});

test("one that is there, and a file of another form, are told", () => {
  const there = `import a from "@penstock/handler-greetings"; defineConfig({ handlers: [a] });`;
  expect(plugInHandler(there, greetings)).toEqual({ ok: false, reason: "taken" });
  expect(plugInHandler("export default defineConfig(mine);", greetings)).toEqual({ ok: false, reason: "unknown-form" });
});
