import { expect, test } from "vitest";
import { plugInSource } from "./plug-in-source.ts";

const one = `import { buzzbip, defineSources } from "@penstock/sources";

// Who may send.
export default defineSources({ buzzbip: buzzbip() });
`;
const many = `import {
  buzzbip,
  defineSources,
} from "@penstock/sources";
import { other } from "./sources/other.ts";
export default defineSources({
  buzzbip: buzzbip(),
  "other-eu": other({ secretsFrom: "A", maxBodyBytes: 1 }),
});
`;

function plugged(text: string, name: string): string | null {
  const outcome = plugInSource(text, name);
  return outcome.ok ? outcome.text : null;
}

test("a source is imported after the others and listed as the last one", () => {
  expect(plugged(one, "acme")).toBe(`import { buzzbip, defineSources } from "@penstock/sources";
import { acme } from "./sources/acme.ts";

// Who may send.
export default defineSources({ buzzbip: buzzbip(), acme: acme() });
`);
  expect(plugged(many, "acme-us")).toBe(`import {
  buzzbip,
  defineSources,
} from "@penstock/sources";
import { other } from "./sources/other.ts";
import { acmeUs } from "./sources/acme-us.ts";
export default defineSources({
  buzzbip: buzzbip(),
  "other-eu": other({ secretsFrom: "A", maxBodyBytes: 1 }),
  "acme-us": acmeUs(),
});
`);
  expect(plugged("export default defineSources({});", "a")).toContain("defineSources({ a: a() })");
});

test("a name that is taken, and a file of another form, are told", () => {
  for (const name of ["buzzbip", "other-eu"]) expect(plugInSource(many, name)).toEqual({ ok: false, reason: "taken" });
  expect(plugInSource(many, "other").ok).toBe(true);
  expect(plugInSource("export default make(sources);", "acme")).toEqual({ ok: false, reason: "unknown-form" });
});
