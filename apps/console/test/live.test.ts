import { createApiToken } from "@penstock/store";
import { addHistory } from "@penstock/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ConsoleUnderTest, startConsole } from "./console-under-test.ts";

let console: ConsoleUnderTest;
let authorization: string;
beforeAll(async () => {
  console = await startConsole();
  const wanted = { name: "live", role: "viewer", seesPayloads: false, expiresInDays: null } as const;
  authorization = `Bearer ${(await createApiToken(console.store, wanted, "test")).value}`;
});
afterAll(() => console.close());

const add = (id: string, events: number): Promise<void> =>
  addHistory(console.store.pool, { events, like: { id, type: "message.received", data: { contactId: "cnt_1" } } });

interface Message {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** The messages of a stream, as they come; comments are left out. */
async function* listen(headers: Record<string, string> = {}): AsyncGenerator<Message> {
  const answer = await fetch(`${console.url}/api/v1/events/stream`, { headers: { authorization, ...headers } });
  expect(answer.headers.get("content-type")).toContain("text/event-stream");
  let text = "";
  for await (const part of answer.body!.pipeThrough(new TextDecoderStream())) {
    text += part;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const fields = Object.fromEntries(
        text
          .slice(0, end)
          .split("\n")
          .map((line) => line.split(/: (.*)/s, 2) as [string, string]),
      );
      text = text.slice(end + 2);
      if (fields["event"] !== undefined) yield fields as unknown as Message;
    }
  }
}

const idsOf = ({ data }: Message): (string | null)[] =>
  (JSON.parse(data) as { items: { id: string | null }[] }).items.map(({ id }) => id);

test("events are told as they come, without their bodies; who connects again misses none and hears none twice", async () => {
  await add("evt_before", 2);
  const first = listen();
  expect((await first.next()).value).toMatchObject({ event: "ready" });
  await add("evt_live", 3);
  const heard: (string | null)[] = [];
  let cursor = "";
  while (heard.length < 3) {
    const message = (await first.next()).value as Message;
    expect(message.data).not.toContain("cnt_1");
    heard.push(...idsOf(message));
    cursor = message.id;
  }
  expect(heard).toEqual(["evt_live_1", "evt_live_2", "evt_live_3"]);
  await first.return(undefined);

  await add("evt_away", 2);
  const second = listen({ "last-event-id": cursor });
  expect((await second.next()).value).toMatchObject({ event: "ready", id: cursor });
  expect(idsOf((await second.next()).value as Message)).toEqual(["evt_away_1", "evt_away_2"]);
  await second.return(undefined);
});

test("a cursor that is after the last event is no reason to hear nothing", async () => {
  const stream = listen({ "last-event-id": "9007199254740991" });
  await stream.next();
  await add("evt_after", 1);
  expect(idsOf((await stream.next()).value as Message)).toEqual(["evt_after_1"]);
  await stream.return(undefined);
});

test("a stop of the console ends the streams, and waits for none", async () => {
  const other = await startConsole();
  const wanted = { name: "live", role: "viewer", seesPayloads: false, expiresInDays: null } as const;
  const { value } = await createApiToken(other.store, wanted, "test");
  const answer = await fetch(`${other.url}/api/v1/events/stream`, { headers: { authorization: `Bearer ${value}` } });
  await other.close();
  expect(await answer.text()).toContain("event: ready");
});
