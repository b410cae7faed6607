import { expect, test } from "vitest";
import { z } from "zod";
import { buzzbip } from "./buzzbip.ts";
import { defineSource, requestOfBody, type SourceDefinition } from "./define-source.ts";
import { defineSources } from "./define-sources.ts";
import { fromUnixSeconds } from "./identity.ts";
import { verifyHmac } from "./verify-hmac.ts";

const definition: SourceDefinition = {
  provider: "acme",
  verify: (request, secrets) =>
    verifyHmac({ signatures: [request.header("x-acme-signature")], content: [request.body] }, secrets),
  identify: (_request, data) => ({
    id: data["id"],
    type: data["type"],
    createdAt: data["at"],
    subjects: [data["order"], data["buyer"]],
  }),
  schemas: { "order.paid": z.looseObject({ order: z.string() }) },
};
const acme = defineSource(definition);
const bodyOf = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const identify = (value: unknown) => acme.identify(requestOfBody(bodyOf(value)));
const nothing = { id: null, type: null, createdAt: null, timeUnread: false, subjects: [] };

test("what identify hands back is checked, and the provider stands in front of the type", () => {
  expect(identify({ id: "1", type: "order.paid", at: "2026-06-01T14:32:00Z", order: "o", buyer: 7 })).toEqual({
    id: "1",
    type: "acme.order.paid",
    createdAt: new Date("2026-06-01T14:32:00Z"),
    subjects: ["o"],
    timeUnread: false,
    problem: null,
  });
  expect(acme.eventTypes).toEqual(["acme.order.paid"]);
});

test.each([
  ["no object", [], nothing],
  ["an id that is no text", { id: 7, type: "a" }, { ...nothing, type: "acme.a" }],
  ["an empty type", { id: "1", type: "" }, { ...nothing, id: "1" }],
  ["a type that is too long with its provider", { id: "1", type: "t".repeat(252) }, { ...nothing, id: "1" }],
  ["a type that cannot be stored", { id: "1", type: "a\0" }, { ...nothing, id: "1" }],
])("a body with %s is no event, and all else of it is kept", (_, value, rest) => {
  expect(identify(value)).toEqual({ ...rest, problem: "no-envelope" });
});

test("a body that cannot be parsed keeps what headers say of it", () => {
  const byHeader = defineSource({
    ...definition,
    identify: ({ header }) => ({ id: header("id"), type: header("type") }),
  });
  const request = { ...requestOfBody(Buffer.from("{")), header: (name: string) => `the-${name}` };
  expect(byHeader.identify(request)).toEqual({ ...nothing, id: "the-id", type: "acme.the-type", problem: "not-json" });
});

test("code that throws is told as a failure, and takes nobody down", () => {
  const fails = (): never => {
    throw new Error("PRIVATE");
  };
  const broken = defineSource({
    ...definition,
    verify: fails,
    identify: fails,
    schemas: { a: { "~standard": { validate: fails } } },
  });
  expect(broken.verify(requestOfBody(bodyOf({})), ["secret"], 0)).toEqual({ ok: false, reason: "verify-failed" });
  expect(broken.identify(requestOfBody(bodyOf({})))).toEqual({ ...nothing, problem: "no-envelope" });
  const checked = broken.check({ body: bodyOf({}), eventId: "1", type: "acme.a", createdAt: null });
  expect(checked).toEqual({ ok: false, reason: "invalid-shape", detail: "the schema of acme.a threw" });
});

test.each([undefined, null, "id", { id: "1", type: "a", subjects: "order" }])(
  "an identity of %j is none, and takes nobody down",
  (identity) => {
    const odd = defineSource({ ...definition, identify: () => identity as never });
    expect(odd.identify(requestOfBody(bodyOf({})))).toEqual({ ...nothing, problem: "no-envelope" });
  },
);

test("a body on which `parse` throws cannot be read, and takes nobody down", () => {
  const odd = defineSource({
    ...definition,
    parse() {
      throw new Error("PRIVATE");
    },
  });
  expect(odd.identify(requestOfBody(bodyOf({ id: "1" })))).toEqual({ ...nothing, problem: "not-json" });
  const checked = odd.check({ body: bodyOf({}), eventId: "1", type: "acme.a", createdAt: null });
  expect(checked).toEqual({ ok: false, reason: "invalid-shape", detail: "the body is not JSON" });
});

test("a stored event gets its id, type and time from its row, and its data from its body", () => {
  const stored = { eventId: "1", type: "acme.order.lost", createdAt: new Date(0) };
  expect(acme.check({ body: bodyOf([1]), ...stored })).toEqual({
    ok: true,
    event: { id: "1", type: "acme.order.lost", createdAt: new Date(0), data: [1] },
    json: bodyOf([1]),
  });
});

test("a type that has a schema is checked by it, and told by paths and rules", () => {
  const stored = { eventId: "1", type: "acme.order.paid", createdAt: null };
  expect(acme.check({ body: bodyOf({ order: "o", more: 1 }), ...stored })).toMatchObject({
    ok: true,
    event: { data: { order: "o", more: 1 } },
  });
  expect(acme.check({ body: bodyOf({ order: 7 }), ...stored })).toEqual({
    ok: false,
    reason: "invalid-shape",
    detail: expect.stringMatching(/^order: .*expected string/) as string,
  });
  expect(acme.check({ body: Buffer.from("{"), ...stored })).toMatchObject({ detail: "the body is not JSON" });
});

test.each([
  [1_780_324_320, "2026-06-01T14:32:00.000Z"],
  ["1780324320.5", "2026-06-01T14:32:00.500Z"],
  ["soon", undefined],
  [Infinity, undefined],
  [null, undefined],
])("%j seconds are %s", (seconds, time) => {
  expect(fromUnixSeconds(seconds)?.toISOString()).toBe(time);
});

test("a source cannot be changed after it was defined", () => {
  for (const source of [acme, buzzbip()]) expect(Object.isFrozen(source)).toBe(true);
});

test.each(["", "Acme", "a/b", "a b", "-a", "1a", "a".repeat(64)])("%j cannot be a provider's name", (provider) => {
  expect(() => defineSource({ ...definition, provider })).toThrow(TypeError);
});

test("a source is found by its exact name only, and its secrets by a variable of that name", () => {
  const own = {
    secretsFrom: "ACME",
    maxBodyBytes: 2_048,
    ratePerSecond: 0,
    retentionDays: 30,
    retention: { "typing.*": 1 },
  };
  const { find, list, problems } = defineSources({ "buzzbip-eu": buzzbip(), acme: defineSource(definition, own) });
  expect(find("acme")).toMatchObject({ provider: "acme", ...own });
  for (const name of ["Acme", "acme ", "", "constructor", "__proto__"]) expect(find(name)).toBeUndefined();
  expect(list.map(({ secretsFrom }) => secretsFrom)).toEqual(["BUZZBIP_EU_SIGNING_SECRETS", "ACME"]);
  expect(problems).toEqual([]);
});

test.each([
  ["30m", 1_800_000],
  ["26h", 93_600_000],
  [false, false],
  [undefined, null],
] as const)("a source that may be silent for %s is watched by that", (silentAfter, silentAfterMs) => {
  const { silentAfterMs: read, problems } = buzzbip(silentAfter === undefined ? {} : { silentAfter });
  expect([read, problems]).toEqual([silentAfterMs, []]);
});

test("all that is wrong with all sources is told at once, by name and never by value", () => {
  const options = {
    tolerance: "PRIVATE",
    secretsFrom: "private",
    maxBodyBytes: 1,
    ratePerSecond: -1,
    retentionDays: 0.5,
    retention: { "a*b": 1 },
    silentAfter: "30 s",
    sensitive: ["data..PRIVATE"],
  };
  const { problems } = defineSources({
    "Not A Name": buzzbip(),
    acme: defineSource(definition, options as object),
    made: definition as never,
    none: buzzbip(null as never),
    penstock: buzzbip(),
  });
  expect(problems.map((problem) => problem.replace(/^source (".*"|[a-z]+): /, "$1 "))).toEqual([
    expect.stringMatching(/^"Not A Name" a name is/),
    expect.stringMatching(/^acme there is no option `tolerance`; there are secretsFrom, maxBodyBytes/),
    expect.stringMatching(/^acme `secretsFrom` must be the name of/),
    expect.stringMatching(/^acme `maxBodyBytes` must be a whole number from 1024/),
    expect.stringMatching(/^acme `ratePerSecond`/),
    expect.stringMatching(/^acme `retentionDays`/),
    expect.stringMatching(/^acme `retention` must be days by type/),
    expect.stringMatching(/^acme `silentAfter` must be a length of time from 1m/),
    expect.stringMatching(/^acme `sensitive` must be a list of paths/),
    expect.stringMatching(/^made it must be what/),
    expect.stringMatching(/^none its options must be an object/),
    expect.stringMatching(/^penstock the name is that of Penstock's own events/),
  ]);
  expect(problems.join()).not.toContain("PRIVATE");
  expect(defineSources({}).problems).toHaveLength(1);
});

test("fields that are sensitive are named by their paths", () => {
  expect(buzzbip({ sensitive: ["data.from", "data.body"] }).sensitive).toEqual([
    ["data", "from"],
    ["data", "body"],
  ]);
  expect(buzzbip().sensitive).toEqual([]);
  for (const path of ["", "data.", "data.0.from", " data", "data .from"]) {
    expect(buzzbip({ sensitive: [path] }).problems.join()).toContain("`sensitive` must");
  }
});

test("headers are kept that are asked for, and none that can hold a secret", () => {
  const keptOf = (...options: Parameters<typeof buzzbip>) => buzzbip(...options).keptHeaders;
  const keeping = { ...definition, keepsHeaders: ["X-Acme-Try"] };
  expect(keptOf()).toEqual(["user-agent", "content-type"]);
  expect(defineSource(keeping, { keepsHeaders: ["X-Region", "User-Agent"] }).keptHeaders).toEqual([
    "user-agent",
    "content-type",
    "x-acme-try",
    "x-region",
  ]);
  expect(defineSource(keeping, { keepsHeaders: false }).keptHeaders).toEqual([]);
  for (const name of ["Cookie", "authorization", "x-api-key", "x-acme-signature", "x-auth-token", "a b"]) {
    expect(buzzbip({ keepsHeaders: [name] }).problems.join()).toContain("`keepsHeaders` must");
  }
});
