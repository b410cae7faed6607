import { buzzbip, defineSources, stripe } from "@penstock/sources";
import { expect, test } from "vitest";
import { assertSources } from "./assert-sources.ts";

const sources = defineSources({ buzzbip: buzzbip(), "stripe-eu": stripe() });

test("types of BuzzBip and of providers that are listed are sent by somebody", () => {
  assertSources([{ name: "a", on: ["message.received", "stripe.charge.succeeded"] }], sources);
});

test("all types that nobody sends are told at once, with their handlers", () => {
  const handlers = [
    { name: "a", on: ["strip.charge.succeeded", "message.received"] },
    { name: "b", on: ["github.push"] },
  ];
  expect(() => assertSources(handlers, sources)).toThrow(
    /2 problems:[^]*handler a subscribes to strip\.charge\.succeeded, which no source sends.*buzzbip, stripe[^]*handler b .*github\.push/,
  );
});
