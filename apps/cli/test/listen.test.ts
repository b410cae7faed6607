import http from "node:http";
import type { AddressInfo } from "node:net";
import { toNewEvent } from "@penstock/intake";
import { buzzbip, requestOfBody } from "@penstock/sources";
import { commitBatch, createEngineStore, migrate, type Store } from "@penstock/store";
import { eventually, recordPending, type ServerUnderTest, startPostgres } from "@penstock/testing";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { openStore } from "../src/database.ts";
import { createPenstock, parseLines, type Penstock } from "./penstock.ts";

const SECRET = "listen-secret";

let postgres: ServerUnderTest;
let store: Store;
let penstock: Penstock;
let hook: Hook;

/** A user's program: what it was sent, and what it answers. */
interface Hook {
  readonly url: string;
  readonly received: { id: string; body: string; verified: boolean; headers: http.IncomingHttpHeaders }[];
  status: number;
  open(): Promise<void>;
  close(): Promise<void>;
}

beforeAll(async () => {
  postgres = await startPostgres();
  store = openStore(postgres.url);
  await migrate(store);
  penstock = await createPenstock({ DATABASE_URL: postgres.url, BUZZBIP_SIGNING_SECRETS: `${SECRET}\nolder` });
  hook = await startHook();
  return async () => {
    await hook.close();
    await penstock.remove();
    await store.close();
  };
});
beforeEach(() => void hook.received.splice(0));

async function startHook(): Promise<Hook> {
  const received: Hook["received"] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      const header = (name: string) => request.headers[name]?.toString();
      const verified = buzzbip().verify({ header, body, url: "/" }, [SECRET], Date.now()).ok;
      received.push({ id: header("webhook-id") ?? "", body: body.toString(), verified, headers: request.headers });
      response.writeHead(status).end("what is wrong");
    });
  });
  let status = 200;
  let port = 0;
  const open = async (): Promise<void> => {
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    ({ port } = server.address() as AddressInfo);
  };
  await open();
  return {
    url: `http://localhost:${port}/hook`,
    received,
    get status() {
      return status;
    },
    set status(value) {
      status = value;
    },
    open,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** As intake stores it and a worker records it. The blanks are gone once somebody serialises it again. */
async function receive(id: string, type = "message.received"): Promise<string> {
  const body = `{ "id": "${id}",  "type": "${type}" }`;
  const identity = buzzbip().identify(requestOfBody(Buffer.from(body)));
  const event = { source: "buzzbip", identity, body: Buffer.from(body), traceparent: null };
  await commitBatch(store, [toNewEvent(event, Infinity, Date.now())]);
  await recordPending(createEngineStore(store, "listen-test"));
  return body;
}

const ids = (): string[] => hook.received.map(({ id }) => id);

test("events go to a local program with their exact bytes and signature; Postgres and the program may be away meanwhile", async () => {
  const body = await receive("evt_before");
  const listening = penstock.begin(["listen", "--forward", hook.url, "--since", "1h", "--json"]);
  await eventually(() => expect(ids()).toEqual(["evt_before"]));
  expect(hook.received[0]).toMatchObject({
    body,
    verified: true,
    headers: { "content-type": "application/json", "webhook-signature": expect.stringMatching(/^v1,/) as string },
  });

  await postgres.stop();
  await eventually(() => expect(listening.stderr().join("\n")).toContain("Waiting for it"));
  await postgres.start();
  await eventually(() => store.ping());
  await receive("evt_after_outage");
  await eventually(() => expect(ids()).toEqual(["evt_before", "evt_after_outage"]));

  hook.status = 500;
  await receive("evt_refused");
  await eventually(() => expect(ids()).toContain("evt_refused"));
  hook.status = 200;
  await hook.close();
  await receive("evt_unreachable");
  await eventually(() => expect(listening.stdout().join("\n")).toContain("evt_unreachable"));
  const { code, stdout, stderr } = await listening.stop();
  expect(code).toBe(0);
  const lines = parseLines(stdout);
  expect(lines).toMatchObject([
    { id: "evt_before", source: "buzzbip", type: "message.received", status: 200, error: null },
    { id: "evt_after_outage", status: 200 },
    { id: "evt_refused", status: 500, error: null },
    { id: "evt_unreachable", status: null, error: "ECONNREFUSED" },
  ]);
  expect(stderr).toEqual([
    expect.stringMatching(/^Listening and forwarding to http/),
    expect.stringMatching(/^Postgres is not available: .*Waiting for it/),
    expect.stringMatching(/back/),
    `It is not tried again. To have it sent once more: --since ${Number(lines[2]?.["cursor"]) - 1}`,
    expect.stringMatching(/listen --forward \S+ --json --since \d+$/),
  ]);
  // It may be past the last event, and not past what comes next.
  expect(Number(/\d+$/.exec(stderr.at(-1) ?? "")?.[0])).toBeGreaterThanOrEqual(Number(lines[3]?.["cursor"]));

  await hook.open();
  await receive("evt_meanwhile");
  const again = penstock.begin(["listen", "--forward", hook.url, "--since", String(lines[2]?.["cursor"])]);
  await eventually(() => expect(again.stdout().join()).toContain("evt_meanwhile"));
  expect(ids().slice(-2)).toEqual(["evt_unreachable", "evt_meanwhile"]);
  expect((await again.stop()).stdout).toEqual([
    expect.stringMatching(/^\d\d:\d\d:\d\d  200 +[\d.]+ ms  message\.received +evt_unreachable$/),
    expect.stringMatching(/evt_meanwhile$/),
  ]);
});

test("only some types are shown, with their bodies, from the next event on", async () => {
  const printing = penstock.begin(["listen", "--print", "--types", "contact.created, none such"]);
  await eventually(() => expect(printing.stderr().join()).toContain("Listening"));
  await receive("evt_other");
  await receive("evt_wanted", "contact.created");
  await eventually(() => expect(printing.stdout().join("\n")).toContain("evt_wanted"));
  const { stdout, stderr } = await printing.stop();
  expect(stderr.join("\n")).toMatch(/^No source sends none such\. Known are .*message\.received/m);
  expect(stderr.at(-1)).toMatch(/ listen --print --types 'contact\.created,none such' --since \d+$/);
  expect(stdout).toEqual([
    expect.stringMatching(/^\d\d:\d\d:\d\d  contact\.created +evt_wanted$/),
    "{",
    '  "id": "evt_wanted",',
    '  "type": "contact.created"',
    "}",
  ]);
});

test("one event that is stored goes to a local program, and says whether it was taken", async () => {
  const body = await receive("evt_one");
  const before = hook.received.length;
  const forward = ["listen", "--forward", hook.url, "--event", "evt_one"];
  expect(await penstock.call(forward)).toMatchObject({ code: 0, stdout: [expect.stringMatching(/ 200 .*evt_one$/)] });
  expect(hook.received.slice(before)).toMatchObject([{ id: "evt_one", body, verified: true }]);
  hook.status = 500;
  expect(await penstock.call(forward)).toMatchObject({
    code: 1,
    stdout: [expect.stringMatching(/ 500 .*evt_one  what is wrong$/)],
  });
  hook.status = 200;
  const unknown = await penstock.call(["listen", "--event", "evt_none"]);
  expect({ code: unknown.code, stderr: unknown.stderr.join() }).toEqual({
    code: 1,
    stderr: expect.stringContaining("There is no event evt_none") as string,
  });
});

test.each([
  [["--event", "evt_one", "--since", "1h"], /leave out/],
  [["--forward", "localhost:3000"], /http or https URL/],
  [["--forward", "http://user:word@localhost:3000"], /no credentials/],
  [["--since", "soon"], /cursor.*2h/],
  [["--source", "nobody"], /There is no source nobody: see `.* sources list`/],
  [["--since", "99999999"], /after the last event/],
  [["--types", ","], /name a type/],
])("listen %j is called wrongly", async (args, says) => {
  const { code, stdout, stderr } = await penstock.call(["listen", ...args]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: [] });
  expect(stderr.join("\n")).toMatch(says);
});
