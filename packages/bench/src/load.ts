// The load generator: a process of its own, told by IPC what to send. Sockets are kept alive, and requests are signed
// and serialised before the clock starts, so that as little as possible of the machine goes into sending.
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { eventRequest, type EventSeries } from "./events.ts";
import { describeTimes, percentile } from "./statistics.ts";

/** What to send. */
export interface LoadOrder extends EventSeries {
  /** Where to: connections are shared out evenly among the ports. */
  readonly ports: readonly number[];
  readonly connections: number;
  /** The most events to send. */
  readonly events: number;
  /** Sending ends after so long, in seconds, whatever is left. */
  readonly seconds: number;
  /** Null: closed loop, each connection sends as soon as it has its answer. Else open loop: so many a second, evenly. */
  readonly perSecond: number | null;
}

/** What came of it. Times are those of answers that acknowledge; in an open loop they count from the scheduled moment. */
export interface LoadReport {
  readonly sent: number;
  readonly acknowledged: number;
  readonly refused: number;
  readonly timedOut: number;
  /** When sending began, in milliseconds since 1970. */
  readonly startedAt: number;
  /** From the beginning to the last answer. */
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Open loop: how late the generator itself was, 99th percentile. */
  readonly lateP99Ms: number;
}

const PATIENCE_MS = 10_000;

function prepare(order: LoadOrder): () => Promise<LoadReport> {
  const first = Buffer.from(eventRequest(order, 0), "latin1");
  const size = first.length;
  // One run of bytes: all requests of a series are of one length.
  const requests = Buffer.allocUnsafe(size * order.events);
  for (let number = 0; number < order.events; number++) {
    if (requests.write(eventRequest(order, number), number * size, "latin1") !== size)
      throw new Error("uneven requests");
  }
  return () => send(order, (number) => requests.subarray(number * size, (number + 1) * size));
}

async function send(order: LoadOrder, requestOf: (number: number) => Buffer): Promise<LoadReport> {
  const { perSecond, events } = order;
  const times = new Float64Array(events);
  const lateness = new Float64Array(perSecond === null ? 0 : events);
  let [sent, acknowledged, refused, open] = [0, 0, 0, 0];
  let lastAnswerAt = 0;
  const idle: Sender[] = [];
  const done = Promise.withResolvers<void>();

  const senders = await Promise.all(
    Array.from({ length: order.connections }, (_, at) =>
      openSender(order.ports[at % order.ports.length] ?? 0, answered),
    ),
  );
  const startedAt = performance.now();
  const end = startedAt + order.seconds * 1000;
  const isOver = (): boolean => sent >= events || performance.now() >= end;

  function sendOn(sender: Sender, since: number): void {
    open++;
    sender.send(requestOf(sent++), since);
  }

  function answered(sender: Sender, status: number, since: number): void {
    lastAnswerAt = performance.now();
    open--;
    if (status >= 200 && status < 300) times[acknowledged++] = lastAnswerAt - since;
    else refused++;
    if (perSecond !== null) {
      idle.push(sender);
      sendDue();
    } else if (!isOver()) {
      sendOn(sender, performance.now());
    }
    if (open === 0 && isOver()) done.resolve();
  }

  /** Open loop: sends what is due by now, as far as there are connections. What finds none waits, and its time runs. */
  function sendDue(): void {
    if (perSecond === null) return;
    for (const now = performance.now(); idle.length > 0 && sent < events;) {
      const due = startedAt + (sent / perSecond) * 1000;
      if (due > now) return;
      lateness[sent] = now - due;
      // By turns: a connection on which no request comes for ten seconds is closed by the server.
      const sender = idle.shift();
      if (sender) sendOn(sender, due);
    }
  }

  if (perSecond === null) {
    for (const sender of senders) if (!isOver()) sendOn(sender, performance.now());
  } else {
    idle.push(...senders);
    // A timer's grain is a millisecond: at thousands a second a few are due at once, never more than that.
    while (!isOver()) {
      sendDue();
      await sleep(1);
    }
  }
  // What is left when there has been no answer for so long has timed out.
  while (open > 0 && performance.now() - Math.max(lastAnswerAt, startedAt) < PATIENCE_MS) {
    await Promise.race([done.promise, sleep(100)]);
  }
  for (const sender of senders) sender.close();
  return {
    sent,
    acknowledged,
    refused,
    timedOut: open,
    startedAt: performance.timeOrigin + startedAt,
    seconds: (lastAnswerAt - startedAt) / 1000,
    ...describeTimes(times.subarray(0, acknowledged)),
    lateP99Ms: perSecond === null ? 0 : percentile(lateness.subarray(0, sent).sort(), 0.99),
  };
}

interface Sender {
  send(request: Buffer, since: number): void;
  close(): void;
}

/** A kept-alive connection with at most one request under way. One that breaks answers no more: its request times out. */
async function openSender(
  port: number,
  answered: (sender: Sender, status: number, since: number) => void,
): Promise<Sender> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  let since = 0;
  let answer = "";
  const sender: Sender = {
    send(request, at) {
      since = at;
      socket.write(request);
    },
    close: () => socket.destroy(),
  };
  socket.on("error", () => undefined);
  socket.on("data", (chunk) => {
    answer += chunk.toString("latin1");
    const headEnd = answer.indexOf("\r\n\r\n");
    if (headEnd === -1) return;
    const length = /\r\ncontent-length: (\d+)/i.exec(answer)?.[1];
    if (length === undefined) throw new Error(`an answer without a length: ${answer.slice(0, headEnd)}`);
    if (answer.length < headEnd + 4 + Number(length)) return;
    const status = Number(answer.slice(9, 12));
    answer = "";
    answered(sender, status, since);
  });
  return sender;
}

// The parent says what to send, hears that it is prepared, and says when: so it can look at its clocks in between.
let run: (() => Promise<LoadReport>) | undefined;
process.on("message", (message: LoadOrder | "go") => {
  if (message !== "go") {
    run = prepare(message);
    process.send?.("prepared");
    return;
  }
  void run?.().then((report) => process.send?.(report));
});
process.on("disconnect", () => process.exit());
console.log("ready");
