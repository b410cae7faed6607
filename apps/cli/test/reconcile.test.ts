import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  commitBatch,
  createEngineStore,
  createStore,
  migrate,
  readArrival,
  showEvents,
  type Store,
} from "@penstock/store";
import { createTestDatabase, recordPending } from "@penstock/testing";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createPenstock, type Outcome, parseLines, type Penstock } from "./penstock.ts";

const KEY = "rk_test_of_the_tests_of_reconcile";
const SOURCES = new URL("../../../packages/sources/src/index.ts", import.meta.url).href;

type Answering = (request: IncomingMessage, response: ServerResponse) => void;
/** What the providers answer; replaced by tests. */
let answering: Answering;
const asked: string[] = [];

let penstock: Penstock;
let store: Store;
beforeAll(async () => {
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    answering(request, response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { url: databaseUrl } = await createTestDatabase({
    template: "reconcile",
    migrate: async (template) => {
      const empty = open(template);
      await migrate(empty);
      await empty.close();
    },
  });
  store = open(databaseUrl);
  penstock = await createPenstock({ DATABASE_URL: databaseUrl, SHOP_EU_API_KEY: KEY, CODE_API_KEY: KEY });
  await mkdir(penstock.home, { recursive: true });
  const file = join(penstock.home, "penstock.sources.ts");
  await writeFile(
    file,
    `import { buzzbip, defineSources, github, stripe } from ${JSON.stringify(SOURCES)};
     export default defineSources({
       buzzbip: buzzbip(),
       "shop-eu": stripe({ endpoint: "we_1", apiUrl: "${url}" }),
       code: github({ hook: "repos/acme/shop/hooks/42", apiUrl: "${url}" }),
       "code-eu": github(),
     });`,
  );
  call = (args, env = {}) => penstock.call(args, { PENSTOCK_SOURCES: file, ...env });
  return async () => {
    server.closeAllConnections();
    server.close();
    await store.close();
    await penstock.remove();
  };
});
beforeEach(async () => {
  asked.length = 0;
  await store.pool.query(
    "TRUNCATE penstock.batches, penstock.pending, penstock.event_keys, penstock.events, penstock.audit_log",
  );
});

/** Runs a command of this project. */
let call: (args: string[], env?: Record<string, string>) => Promise<Outcome>;

const reconcile = (args: string[], env?: Record<string, string>) => call(["reconcile", ...args], env);

function open(connectionString: string): Store {
  return createStore({
    connectionString,
    applicationName: "reconcile-test",
    maxConnections: 2,
    sources: ["shop-eu", "code"],
  });
}

/** An event that has come by itself, and waits for a worker. */
async function arrives(source: string, eventId: string, body = "{}"): Promise<void> {
  const event = {
    source,
    eventId,
    key: null,
    type: "x",
    createdAt: null,
    subjects: [],
    problem: null,
    traceparent: null,
  };
  await commitBatch(store, [{ ...event, bodyVaries: true, body: Buffer.from(body), replay: null }]);
}

const process = () => recordPending(createEngineStore(store, "reconcile-test"));

/** What is stored, with its exact body. */
async function stored(): Promise<{ id: string; type: string; body: string }[]> {
  const { rows } = await store.pool.query<{ id: string; type: string; body: string }>(
    `SELECT event_id AS id, type, convert_from(penstock.body_of(day, seq, body_at, body_bytes), 'UTF8') AS body
       FROM penstock.events ORDER BY event_id`,
  );
  return rows;
}

function answerJson(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(body);
}

const hoursAgo = (hours: number): Date => new Date(Date.now() - hours * 3_600_000);

describe("a source with a list of events", () => {
  /** As Stripe's API has an event, with an amount that a double cannot hold. */
  const eventOf = (n: number, type = "charge.succeeded"): string =>
    `{"id":"evt_${n}","object":"event","api_version":"2026-06-01.basil","created":${Math.floor(hoursAgo(n).getTime() / 1_000)},` +
    `"data":{"object":{"id":"ch_${n}","object":"charge","amount":9007199254740993,"customer":"cus_1"}},"livemode":false,` +
    `"pending_webhooks":1,"request":{"id":null,"idempotency_key":null},"type":"${type}"}`;
  const events = [eventOf(1), eventOf(2), eventOf(3), eventOf(4, "payout.paid"), eventOf(5), eventOf(30)];

  /** Stripe's API, with two events on a page. */
  const asStripe: Answering = (request, response) => {
    const url = new URL(request.url ?? "", "http://api");
    if (request.headers.authorization !== `Bearer ${KEY}`) {
      const error = {
        message: `Invalid API Key provided: ${request.headers.authorization}`,
        type: "invalid_request_error",
      };
      return answerJson(response, 401, JSON.stringify({ error }));
    }
    if (url.pathname === "/v1/webhook_endpoints/we_1") {
      const endpoint = {
        id: "we_1",
        object: "webhook_endpoint",
        enabled_events: ["charge.succeeded"],
        status: "disabled",
      };
      return answerJson(response, 200, JSON.stringify(endpoint));
    }
    const since = Number(url.searchParams.get("created[gte]"));
    const listed = events.filter((event) => (JSON.parse(event) as { created: number }).created >= since);
    const after = url.searchParams.get("starting_after");
    const from = after === null ? 0 : listed.findIndex((event) => event.includes(`"${after}"`)) + 1;
    const more = from + 2 < listed.length;
    answerJson(
      response,
      200,
      `{"object":"list","data":[${listed.slice(from, from + 2).join(",")}],"has_more":${more},"url":"/v1/events"}`,
    );
  };
  beforeEach(() => void (answering = asStripe));

  test("tells what was missed, fetches it byte for byte once it is told to, and knows it from then on", async () => {
    await arrives("shop-eu", "evt_1");
    await process();
    await arrives("shop-eu", "evt_2");
    const seen = await reconcile(["shop-eu", "--since", "24h"]);
    expect(seen).toMatchObject({ code: 0, stderr: ["Nothing was fetched yet: --yes fetches them."] });
    const lines = seen.stdout.join("\n");
    expect(lines).toMatch(
      /stripe\.charge\.succeeded +evt_5\n.*stripe\.charge\.succeeded +evt_3\n\nshop-eu has sent 4 events since/,
    );
    expect(lines).toContain("2 of them never came");
    expect(asked.filter((url) => url.startsWith("/v1/events"))).toHaveLength(3);

    const done = await reconcile(["shop-eu", "--since", "24h", "--yes"]);
    expect(done).toMatchObject({ code: 0, stderr: [] });
    expect(done.stdout.at(-1)).toBe("fetched 2 of 2: workers handle them now");
    await arrives("shop-eu", "evt_3", eventOf(3).replace('"pending_webhooks":1', '"pending_webhooks":0'));
    expect(await process()).toEqual({ events: 3, duplicates: 1, conflicts: 0 });
    expect((await stored()).filter(({ id }) => ["evt_3", "evt_5"].includes(id))).toEqual([
      { id: "evt_3", type: "stripe.charge.succeeded", body: events[2] },
      { id: "evt_5", type: "stripe.charge.succeeded", body: events[4] },
    ]);
    const [shown] = await showEvents(store, "evt_5");
    expect(shown).toMatchObject({ status: "processed", subjects: ["cus_1", "ch_5"] });
    const { headers = [] } = (await readArrival(store, { day: shown!.day, seq: shown!.seq })) ?? {};
    expect(headers).toContainEqual({ name: "penstock-fetched-by", value: "cli:tester@test" });
    const { rows } = await store.pool.query("SELECT actor, action, target, detail FROM penstock.audit_log");
    expect(rows).toEqual([
      {
        actor: "cli:tester@test",
        action: "sources.reconcile",
        target: "shop-eu",
        detail: { events: 2, ids: ["evt_5", "evt_3"] },
      },
    ]);
    expect((await reconcile(["shop-eu", "--since", "24h"])).stdout.join()).toContain("none of them is missing");
  });

  test("waits where its API asks for it, and where that is long, what was listed before is fetched all the same", async () => {
    let calls = 0;
    const from = (nth: number, status: number, headers: Record<string, string>): void => {
      calls = 0;
      answering = (request, response) =>
        ++calls >= nth && (status !== 200 || calls === nth)
          ? answerJson(response, status === 200 ? 429 : status, '{"error":{"message":"Too many requests"}}', headers)
          : asStripe(request, response);
    };
    from(3, 200, { "retry-after": "1" });
    const waited = await reconcile(["shop-eu", "--since", "24h", "--json"]);
    expect(waited).toMatchObject({
      code: 0,
      stderr: [expect.stringMatching(/^127\.0\.0\.1:\d+ asks to wait for 1 s\.$/)],
    });
    expect(parseLines(waited.stdout).at(-1)).toEqual({ listed: 4, missed: 4, fetched: 0 });

    from(3, 429, { "retry-after": "900" });
    const broken = await reconcile(["shop-eu", "--since", "24h", "--yes"]);
    expect(broken.code).toBe(1);
    expect(broken.stdout.at(-1)).toBe("fetched 2 of 2: workers handle them now");
    expect(broken.stderr.join()).toMatch(
      /The list broke off after 2 events: \S+ asks for fewer requests \(429\): wait for 15 min, and run it again\. It says: Too many requests/,
    );
  });

  test.each<[string, Answering | null, Record<string, string>, RegExp]>([
    [
      "a key that is refused",
      null,
      { SHOP_EU_API_KEY: "rk_wrong_key" },
      /refuses the API key in SHOP_EU_API_KEY \(401\): it takes a restricted key \(rk_…\)/,
    ],
    [
      "no key",
      null,
      { SHOP_EU_API_KEY: "" },
      /The API key of shop-eu is not set: set SHOP_EU_API_KEY to a restricted key/,
    ],
    [
      "a key that may not",
      (_, response) => answerJson(response, 403, '{"error":{"message":"rights"}}'),
      {},
      /does not show this.*\(403\).*It says: rights/,
    ],
    [
      "an answer that is none",
      (_, response) => answerJson(response, 200, "<html>"),
      {},
      /could not be listed: the answer of its API is not JSON\./,
    ],
    [
      "an answer of another kind",
      (_, response) => answerJson(response, 200, '{"enabled_events":["*"],"data":[{}]}'),
      {},
      /an event without id or type/,
    ],
    [
      "a request it does not take",
      (_, response) => answerJson(response, 400, `{"error":{"message":"no ${KEY}"}}`),
      {},
      /answers 400 to \/v1\/webhook_endpoints\/we_1\. It says: no …/,
    ],
  ])("%s is told, with what to do and without the key", async (_, answers, env, said) => {
    if (answers !== null) answering = answers;
    const { code, stdout, stderr } = await reconcile(["shop-eu", "--since", "24h", "--yes"], env);
    expect(code).toBe(1);
    expect(stderr.join("\n")).toMatch(said);
    expect([...stdout, ...stderr].join()).not.toMatch(/rk_(?:test|wrong)/);
  });
});

describe("a source with a list of deliveries", () => {
  const delivery = (id: string, guid: string, event: string, hours: number, status = "OK") => ({
    id,
    listed: `{"id":${id},"guid":"${guid}","delivered_at":"${hoursAgo(hours).toISOString()}","redelivery":false,"duration":0.27,"status":"${status}","status_code":200,"event":"${event}","action":"opened","installation_id":null,"repository_id":456,"throttled_at":null}`,
    // As GitHub documents it; the payload has a number that a double cannot hold.
    detail: `{"id":${id},"guid":"${guid}","delivered_at":"${hoursAgo(hours).toISOString()}","status":"${status}","event":"${event}","request":{"headers":{"X-GitHub-Delivery":"${guid}","X-Hub-Signature-256":"sha256=6dcb","X-GitHub-Hook-ID":"42","User-Agent":"GitHub-Hookshot/b8c71d8","X-GitHub-Event":"${event}","content-type":"application/json"},"payload":{"action":"opened","issue":{"id":9007199254740993},"repository":{"full_name":"acme/shop"}}},"response":{"headers":{},"payload":"ok"}}`,
  });
  const all = [
    delivery("18446744073709551601", "guid-2", "issues", 1, "failed to connect"),
    delivery("104", "guid-1", "push", 2),
    delivery("103", "guid-2", "issues", 3, "failed to connect"), // a try of the same event
    delivery("102", "guid-3", "issues", 4),
    delivery("101", "guid-4", "issues", 30),
  ];

  beforeEach(() => {
    answering = (request, response) => {
      const url = new URL(request.url ?? "", "http://api");
      const [, number] = /^\/repos\/acme\/shop\/hooks\/42\/deliveries(?:\/(\d+))?$/.exec(url.pathname) ?? [];
      const isAllowed =
        request.headers.authorization === `Bearer ${KEY}` && request.headers["user-agent"] === "penstock";
      if (!isAllowed) return answerJson(response, 401, '{"message":"Bad credentials"}');
      if (number !== undefined) {
        const found = all.find(({ id }) => id === number && id !== "102");
        return found ? answerJson(response, 200, found.detail) : answerJson(response, 404, '{"message":"Not Found"}');
      }
      const from = Number(url.searchParams.get("cursor") ?? 0);
      const next = `http://${request.headers.host}${url.pathname}?per_page=100&cursor=${from + 2}`;
      const page = all.slice(from, from + 2).map(({ listed }) => listed);
      answerJson(response, 200, `[${page.join(",")}]`, { link: `<${next}>; rel="next", <${next}>; rel="last"` });
    };
  });

  test("lists each event once however often it was tried, and one that cannot be fetched holds up no other", async () => {
    const { code, stdout, stderr } = await reconcile(["code", "--since", "24h", "--yes"]);
    expect(code).toBe(1);
    expect(stdout.join("\n")).toMatch(
      /code has sent 3 events .*; 3 of them never came\.\nfetched 2 of 3: workers handle them now$/,
    );
    expect(stderr.join("\n")).toMatch(/^guid-3 could not be fetched: .*\(404\)/);
    await process();
    const body = '{"action":"opened","issue":{"id":9007199254740993},"repository":{"full_name":"acme/shop"}}';
    expect(await stored()).toEqual([
      { id: "guid-1", type: "github.push", body },
      { id: "guid-2", type: "github.issues", body },
    ]);
  });

  test("is asked for some types alone", async () => {
    const { stdout } = await reconcile(["code", "--since", "24h", "--type", "github.pu*", "--json"]);
    expect(parseLines(stdout)).toEqual([
      { id: "guid-1", type: "github.push", createdAt: expect.any(String) },
      { listed: 1, missed: 1, fetched: 0 },
    ]);
  });
});

test.each([
  ["buzzbip", /buzzbip cannot be reconciled: .* These can: shop-eu, code, code-eu\./],
  ["code-eu", /code-eu cannot be reconciled yet\. Say which webhook it is: github\(\{ hook:/],
  ["nobody", /There is no source nobody/],
])("%s is told why it cannot be reconciled", async (name, said) => {
  const { code, stderr } = await reconcile([name, "--since", "24h"]);
  expect([code, stderr.join("\n")]).toEqual([1, expect.stringMatching(said)]);
  expect(asked).toEqual([]);
});
