import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createStore } from "@penstock/store";
import { eventually } from "@penstock/testing";
import Stripe from "stripe";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createPenstock, parseLines, type Penstock } from "./penstock.ts";

const fixture = (file: string): string => fileURLToPath(new URL(`fixtures/stripe/${file}`, import.meta.url));
const SECRET = "whsec_of_the_eu_account";

// One start for all that needs one.
let penstock: Penstock;
let webhook: string;
beforeAll(async () => {
  penstock = await createPenstock({
    PENSTOCK_SOURCES: fixture("penstock.sources.ts"),
    PENSTOCK_CONFIG: fixture("penstock.config.ts"),
    STRIPE_EU_SIGNING_SECRETS: JSON.stringify(["whsec_of_the_next_one", SECRET]),
  });
  const { stdout } = await penstock.start();
  webhook = /http:\S+\/webhooks\/stripe-eu/.exec(stdout.join("\n"))?.[0] ?? "none was told";
  return penstock.remove;
});

/** What Stripe would send, signed by its own library. */
function fromStripe(
  id: string,
  { secret = SECRET, amount = 2_000 } = {},
): { body: string; headers: Record<string, string> } {
  const object = { id: `ch_${id}`, object: "charge", amount, customer: "cus_1" };
  const created = Math.floor(Date.now() / 1_000);
  const event = {
    id: `evt_${id}`,
    object: "event",
    type: "charge.succeeded",
    created,
    livemode: false,
    data: { object },
  };
  const body = JSON.stringify(event, null, 2);
  const header = Stripe.webhooks.generateTestHeaderString({ payload: body, secret, timestamp: created });
  return { body, headers: { "content-type": "application/json; charset=utf-8", "stripe-signature": header } };
}

async function send({ body, headers }: { body: string; headers: Record<string, string> }): Promise<number> {
  return (await fetch(webhook, { method: "POST", headers, body })).status;
}

test("an event that Stripe's library signed is verified, and a handler gets it once", async () => {
  const sent = fromStripe("once");
  expect([await send(sent), await send(sent)]).toEqual([200, 200]);
  expect(await send(fromStripe("forged", { secret: "whsec_of_somebody_else" }))).toBe(401);
  expect(await send({ ...sent, body: JSON.stringify(JSON.parse(sent.body)) })).toBe(401);

  await eventually(async () => {
    const shown = await penstock.call(["events", "show", "evt_once", "--json"]);
    expect(parseLines(shown.stdout)).toMatchObject([
      {
        source: "stripe-eu",
        type: "stripe.charge.succeeded",
        status: "processed",
        deliveries: [{ subscriber: "takings", state: "succeeded" }],
      },
    ]);
  });
  const url = (await penstock.call(["db", "url"])).stdout[0] ?? "";
  const store = createStore({ connectionString: url, applicationName: "test", maxConnections: 1 });
  onTestFinished(() => store.close());
  const { rows } = await store.pool.query("SELECT * FROM takings.charges");
  expect(rows).toEqual([{ id: "ch_once", amount: 2_000, source: "stripe-eu" }]);
  const { rows: events } = await store.pool.query("SELECT event_id FROM penstock.events");
  expect(events).toEqual([{ event_id: "evt_once" }]);
});

test("a source that has gone silent is listed with what its provider may have done", async () => {
  expect(await send(fromStripe("before_silence"))).toBe(200);
  const url = (await penstock.call(["db", "url"])).stdout[0] ?? "";
  const store = createStore({ connectionString: url, applicationName: "test", maxConnections: 1 });
  onTestFinished(() => store.close());
  await eventually(async () => {
    await store.pool.query(
      `UPDATE penstock.source_activity SET event_at = now() - interval '3 h', listening_since = now() - interval '1 d'
        WHERE source = 'stripe-eu'`,
    );
    const { stdout } = await penstock.call(["sources", "list"]);
    expect(stdout.join("\n")).toMatch(
      /stripe-eu is silent: it has sent nothing for 3 ?h.*, and its silentAfter is 2 ?h.*\. Stripe disables/,
    );
  });
  expect(await send(fromStripe("after_silence"))).toBe(200);
  await eventually(async () => {
    const { stdout } = await penstock.call(["sources", "list", "--json"]);
    expect(parseLines(stdout)[1]).toMatchObject({ name: "stripe-eu", silence: { state: "sends" } });
  });
});

test("sources are listed with where their secrets are and what is set, never with a secret", async () => {
  const { stdout } = await penstock.call(["sources", "list", "--json"]);
  expect(parseLines(stdout)).toEqual([
    {
      name: "buzzbip",
      provider: "buzzbip",
      path: "/webhooks/buzzbip",
      secretsFrom: "BUZZBIP_SIGNING_SECRETS",
      secrets: 1,
      origin: "made by `start`",
      maxBodyBytes: null,
      ratePerSecond: null,
      retentionDays: null,
      silence: { state: "new", lastEventAt: null, usual: null },
    },
    expect.objectContaining({ name: "stripe-eu", secrets: 2, origin: "STRIPE_EU_SIGNING_SECRETS", retentionDays: 30 }),
  ]);
  const table = (await penstock.call(["sources", "list"])).stdout.join("\n");
  expect(table).toMatch(
    /stripe-eu +stripe +\/webhooks\/stripe-eu +2 \(STRIPE_EU_SIGNING_SECRETS\) +- +100\/s +30 d +\d+ s ago +yes$/,
  );
  expect(table + stdout.join()).not.toContain("whsec");
});

test("a verify token that is missing is told, and one that is set is not shown", async () => {
  const sources = fixture("../meta.sources.ts");
  const META = { PENSTOCK_SOURCES: sources, META_SIGNING_SECRETS: "app_secret" };
  const list = async (env: Record<string, string>): Promise<string> => {
    const { call, remove } = await createPenstock({ ...META, ...env });
    onTestFinished(remove);
    const [table, json] = [await call(["sources", "list"]), await call(["sources", "list", "--json"])];
    return [...table.stdout, ...json.stdout].join("\n");
  };
  const missing = await list({});
  expect(missing).toMatch(/1 \(META_SIGNING_SECRETS\), verify tokens: none: set META_VERIFY_TOKENS/);
  expect(missing).toContain('"verifyTokensFrom":"META_VERIFY_TOKENS","verifyTokens":0');
  const set = await list({ META_VERIFY_TOKENS: "private token" });
  expect(set).toMatch(/verify tokens: 1 \(META_VERIFY_TOKENS\)/);
  expect(set).not.toContain("private token");
});

test("the URL of a source is that of the start that runs, or below the base that is given", async () => {
  expect((await penstock.call(["sources", "url", "stripe-eu"])).stdout).toEqual([webhook]);
  const based = await penstock.call(["sources", "url", "stripe-eu", "--base", "https://hooks.example.com/"]);
  expect(based.stdout).toEqual(["https://hooks.example.com/webhooks/stripe-eu"]);
});

describe("verify", () => {
  const onTheWire = ({ body, headers }: ReturnType<typeof fromStripe>, line = "\r\n"): string =>
    [
      "POST /webhooks/stripe-eu HTTP/1.1",
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      "",
      body,
    ].join(line);
  const verify = async (content: string, ...more: string[]) =>
    penstock.call(["sources", "verify", "stripe-eu", await penstock.file(content), ...more]);

  test("a request that is accepted is told with the secret that fits", async () => {
    for (const content of [
      onTheWire(fromStripe("a")),
      onTheWire(fromStripe("a"), "\n"),
      JSON.stringify(fromStripe("a")),
    ]) {
      expect(await verify(content)).toMatchObject({
        code: 0,
        stdout: ["accepted", "  - it is signed with secret 2 of 2 in STRIPE_EU_SIGNING_SECRETS"],
      });
    }
  });

  test("a request that is refused is told with the reason", async () => {
    const sent = fromStripe("b");
    const again = JSON.stringify({ ...sent, body: JSON.stringify(JSON.parse(sent.body)) });
    expect(await verify(again)).toMatchObject({
      code: 1,
      stdout: ["refused: mismatch", expect.stringMatching(/changed.*serialised again: indented by two/)],
    });
    const old = await verify(onTheWire(sent), "--at", "2026-06-01T00:00:00Z", "--json");
    expect(old.code).toBe(1);
    expect(parseLines(old.stdout)).toMatchObject([{ ok: false, reason: "timestamp-out-of-tolerance", secret: 2 }]);
    const body = await penstock.file(sent.body);
    expect((await verify(onTheWire({ ...sent, body: "" }), "--body-file", body)).code).toBe(0);
    const other = await verify(onTheWire(sent), "--secret", "whsec_of_somebody_else");
    expect(other.stdout[1]).toMatch(/no secret in STRIPE_EU_SIGNING_SECRETS makes this signature/);
  });

  test("a request line or a URL with a whole URL in it is read as ingest reads it", async () => {
    const sent = fromStripe("a");
    for (const target of ["http://h:80/webhooks/stripe-eu", "HTTPS://Hooks.example.com/webhooks/stripe-eu"]) {
      const wire = onTheWire(sent).replace("/webhooks/stripe-eu", target);
      for (const content of [wire, JSON.stringify({ ...sent, url: target })]) {
        expect(await verify(content)).toMatchObject({ code: 0 });
      }
    }
  });

  test.each([
    [["sources", "verify", "nobody", "file"], /no source nobody .*only buzzbip, stripe-eu/],
    [["sources", "verify", "stripe-eu", "/nowhere"], /\/nowhere cannot be read \(ENOENT\)/],
    [["sources", "url", "nobody"], /no source nobody/],
  ])("penstock %j fails with what to do", async (args, message) => {
    const { code, stdout, stderr } = await penstock.call(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: [] });
    expect(stderr.join("\n")).toMatch(message);
  });

  test("a file that is no request is told", async () => {
    expect((await verify("hello, world")).stderr.join()).toContain("is no saved request");
    expect((await verify('{"headers":{}}')).stderr.join()).toContain("needs `body`");
  });
});

test.each([
  [["new", "source", "Acme"], 2, /A name is lower-case/],
  [["new", "source", "buzzbip"], 1, /penstock.sources.ts lists a source buzzbip already/],
  [["new", "source", "stripe"], 2, /Penstock has a source for stripe/],
])("penstock %j writes nothing and says why", async (args, code, message) => {
  const outcome = await penstock.call(args);
  expect({ code: outcome.code, stdout: outcome.stdout }).toEqual({ code, stdout: [] });
  expect(outcome.stderr.join("\n")).toMatch(message);
});

test("a start without a secret of a source says which one, and starts nothing", async () => {
  const { code, stdout, stderr } = await penstock.call(["start"], {
    STRIPE_EU_SIGNING_SECRETS: "",
    PENSTOCK_HOME: join(penstock.home, "other"),
  });
  expect({ code, stdout }).toEqual({ code: 1, stdout: [] });
  expect(stderr.join("\n")).toContain("STRIPE_EU_SIGNING_SECRETS is empty");
});
