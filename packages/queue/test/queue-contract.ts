import { setTimeout as delay } from "node:timers/promises";
import {
  type EventQueue,
  type QueueConsumer,
  type QueuedBatches,
  QueueUnavailableError,
  type QueueTuning,
} from "@penstock/queue";
import { eventually, type ServerUnderTest, startProcess } from "@penstock/testing";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openTestQueue } from "./open-test-queue.ts";
import { startSilentProxy } from "./silent-proxy.ts";

/** A backend of the suite's own, to be stopped, frozen and emptied. */
export interface BackendUnderTest {
  readonly server: ServerUnderTest;
  /** Makes it ready for jobs again after its server has lost everything, or for the first time. */
  prepare(): Promise<void>;
  /** Takes all jobs away, as FLUSHALL does. */
  loseEverything(): Promise<void>;
  /** How many jobs it holds, in whatever state. */
  countJobs(): Promise<number>;
}

/** Jobs of a consumer that vanished are found within two seconds instead of half a minute. */
const QUICK = { lockMs: 1_000, stalledCheckMs: 500 } satisfies QueueTuning;
/** Adds fail within one second instead of three. */
const IMPATIENT = { addTimeoutMs: 1_000 } satisfies QueueTuning;
const SOON_MS = 8_000;

/** What every backend of the queue has to do, whichever it is. */
export function queueContract(name: string, makeBackend: () => Promise<BackendUnderTest>): void {
  describe(`the queue on ${name}`, () => {
    let backend: BackendUnderTest;
    let queue: EventQueue;
    const queues: EventQueue[] = [];
    const consumers: QueueConsumer[] = [];
    let lastBatch = 0;

    beforeAll(async () => {
      backend = await makeBackend();
      await backend.prepare();
    });
    beforeEach(async () => {
      await backend.loseEverything();
      queue = open();
    });
    afterEach(async ({ task }) => {
      await backend.server.thaw();
      // One that failed in between must not fail those after it.
      if (task.result?.state === "fail") await backend.server.start();
      await Promise.all(consumers.splice(0).map((consumer) => consumer.close(200)));
      await Promise.all(queues.splice(0).map((one) => one.close()));
    });

    function open(tuning?: QueueTuning, url = backend.server.url): EventQueue {
      const opened = openTestQueue(url, tuning);
      queues.push(opened);
      return opened;
    }

    /** Consumes, and keeps a record of what came. */
    function consume(
      process: (pointer: QueuedBatches) => Promise<void> = async () => {},
      { concurrency = 1, on = queue }: { concurrency?: number; on?: EventQueue } = {},
    ): { consumer: QueueConsumer; began: QueuedBatches[]; done: number[]; errors: Error[] } {
      const began: QueuedBatches[] = [];
      const done: number[] = [];
      const errors: Error[] = [];
      const consumer = on.consume(
        async (pointer) => {
          began.push(pointer);
          await process(pointer);
          done.push(...pointer.batches);
        },
        { concurrency, onError: (error) => errors.push(error) },
      );
      consumers.push(consumer);
      return { consumer, began, done, errors };
    }

    /** The number of a batch of which nobody has heard. */
    const newBatch = (): number => ++lastBatch;

    /** Adds a batch of which nobody has heard, and waits until it is done. */
    async function addAndAwait(done: readonly number[]): Promise<void> {
      const batch = newBatch();
      await queue.add([[batch]]);
      await eventually(() => expect(done).toContain(batch));
    }

    describe("jobs", () => {
      test("a job brings the numbers of its batches, on a queue that was opened a moment ago", async () => {
        const batches = [newBatch(), newBatch()];
        await queue.add([batches]);
        const { began } = consume();
        await eventually(() => expect(began).toEqual([{ batches, startedBefore: 0 }]));
      });

      test("a consumer that was there first gets a job as soon as it is added", async () => {
        const { done } = consume();
        await addAndAwait(done);
        const before = performance.now();
        await addAndAwait(done);
        // An idle consumer that polled would find it after five seconds.
        expect(performance.now() - before).toBeLessThan(3_000);
      });

      test("adding nothing adds nothing", async () => {
        await queue.add([]);
        expect(await backend.countJobs()).toBe(0);
      });

      test("a job whose error says what cannot be stored has failed all the same", async () => {
        const { began } = consume(() => Promise.reject(Object.assign(new Error("no \0 \ud800"), { name: "Odd\0" })));
        await queue.add([[newBatch()]]);
        await eventually(() => expect(began).toHaveLength(1));
        await eventually(async () => expect(await backend.countJobs()).toBe(0));
      });

      test("a batch that is added again while it waits runs once", async () => {
        const [twice, last] = [newBatch(), newBatch()];
        await queue.add([[twice]]);
        await queue.add([[twice]]);
        await queue.add([[twice], [last]]);
        const { done } = consume();
        await eventually(() => expect(done).toContain(last));
        expect(done).toEqual([twice, last]);
        expect(await backend.countJobs()).toBe(0);
      });

      test("a batch that is added again while it runs runs once", async () => {
        const [running, last] = [newBatch(), newBatch()];
        const gate = Promise.withResolvers<void>();
        const { began, done } = consume(() => gate.promise);
        await queue.add([[running]]);
        await eventually(() => expect(began).toHaveLength(1));
        await queue.add([[running]]);
        await queue.add([[running], [last]]);
        gate.resolve();
        await eventually(() => expect(done).toContain(last));
        expect(done).toEqual([running, last]);
      });

      test.each([
        ["finished", async () => {}],
        ["failed", () => Promise.reject(new Error("the processor's own trouble"))],
      ])("a batch whose job has %s leaves nothing behind and can be added again", async (_, process) => {
        const batch = newBatch();
        const { began } = consume(process);
        for (let times = 1; times <= 3; times++) {
          await queue.add([[batch]]);
          await eventually(() => expect(began).toHaveLength(times));
          await eventually(async () => expect(await backend.countJobs()).toBe(0));
        }
        expect(began).toEqual(Array.from({ length: 3 }, () => ({ batches: [batch], startedBefore: 0 })));
      });

      test("a job is not tried again when its processor rejects", async () => {
        const { began, errors } = consume(({ batches: [batch] }) =>
          batch === bad ? Promise.reject(new Error("no")) : Promise.resolve(),
        );
        const [bad, last] = [newBatch(), newBatch()];
        await queue.add([[bad], [last]]);
        await eventually(() => expect(began.flatMap(({ batches }) => batches)).toEqual([bad, last]));
        expect(errors).toEqual([]);
      });

      test("300 batches in one add all run, with as many at once as asked for and no more", async () => {
        const batches = Array.from({ length: 300 }, newBatch);
        let inFlight = 0;
        let most = 0;
        await queue.add(batches.map((batch) => [batch]));
        const { done } = consume(
          async () => {
            most = Math.max(most, ++inFlight);
            await delay(2);
            inFlight--;
          },
          { concurrency: 4 },
        );
        await eventually(() => expect(done).toHaveLength(300));
        expect(new Set(done)).toEqual(new Set(batches));
        expect(most).toBe(4);
      });

      test("200 adds at once all succeed", async () => {
        const batches = Array.from({ length: 200 }, newBatch);
        await Promise.all(batches.map((batch) => queue.add([[batch]])));
        const { done } = consume(undefined, { concurrency: 4 });
        await eventually(() => expect(new Set(done)).toEqual(new Set(batches)));
      });

      test("two consumers share the jobs, and none of them runs twice", async () => {
        const batches: number[] = [];
        const two = [consume(() => delay(5)), consume(() => delay(5), { on: open() })];
        // As many as it takes for both to have had some: one may be connected long before the other.
        await eventually(async () => {
          const more = Array.from({ length: 20 }, newBatch);
          batches.push(...more);
          await queue.add(more.map((batch) => [batch]));
          for (const { done } of two) expect(done.length).toBeGreaterThan(5);
        });
        const all = (): number[] => two.flatMap(({ done }) => done);
        await eventually(() => expect(all()).toHaveLength(batches.length));
        expect(new Set(all())).toEqual(new Set(batches));
      });
    });

    describe("stopping", () => {
      test("close waits for the job under way and takes no other", async () => {
        const gate = Promise.withResolvers<void>();
        const { consumer, began, done } = consume(() => gate.promise);
        await queue.add([[newBatch()], [newBatch()]]);
        await eventually(() => expect(began).toHaveLength(1));
        const closed = consumer.close(5_000);
        expect(await Promise.race([closed.then(() => "closed"), delay(300, "waiting")])).toBe("waiting");
        gate.resolve();
        await closed;
        expect(done).toHaveLength(1);
        expect(began).toHaveLength(1);
        expect(await backend.countJobs()).toBe(1);
      });

      test("an idle consumer closes at once", async () => {
        const { consumer, done } = consume();
        await addAndAwait(done);
        const before = performance.now();
        await consumer.close(10_000);
        expect(performance.now() - before).toBeLessThan(5_000);
      });

      test("a job that does not end holds a close up no longer than told, nor the queue, and runs again elsewhere", async () => {
        const batch = newBatch();
        const stopping = open(QUICK);
        const { consumer, began } = consume(() => new Promise(() => {}), { on: stopping });
        await stopping.add([[batch]]);
        await eventually(() => expect(began).toHaveLength(1));
        const before = performance.now();
        await consumer.close(300);
        await stopping.close();
        expect(performance.now() - before).toBeLessThan(8_000);

        const other = consume(undefined, { on: open(QUICK) });
        await eventually(() => expect(other.began).toEqual([{ batches: [batch], startedBefore: 1 }]));
      });

      test("a batch whose worker is killed runs again and says how often, every time", async () => {
        const batch = newBatch();
        await queue.add([[batch]]);
        for (const times of [0, 1]) {
          const doomed = startProcess({
            file: new URL("./fixtures/consume-and-stall.ts", import.meta.url),
            env: { QUEUE_URL: backend.server.url },
          });
          await doomed.waitForLine(new RegExp(`^began ${batch}, begun ${times} times before$`));
          doomed.kill("SIGKILL");
          await doomed.exited;
        }
        const { began } = consume(undefined, { on: open(QUICK) });
        await eventually(() => expect(began).toEqual([{ batches: [batch], startedBefore: 2 }]));
        await eventually(async () => expect(await backend.countJobs()).toBe(0));
      });
    });

    describe("outages", () => {
      const failsSoon = async (call: () => Promise<unknown>): Promise<void> => {
        const before = performance.now();
        const error: unknown = await call().then(
          () => undefined,
          (reason: unknown) => reason,
        );
        expect(error).toBeInstanceOf(QueueUnavailableError);
        expect(performance.now() - before).toBeLessThan(SOON_MS);
      };

      test("losing every job, one that runs among them, leaves the queue usable", async () => {
        const gate = Promise.withResolvers<void>();
        const { began, done } = consume(() => gate.promise);
        const [running, waiting] = [newBatch(), newBatch()];
        await queue.add([[running], [waiting]]);
        await eventually(() => expect(began).toHaveLength(1));
        await backend.loseEverything();
        gate.resolve();
        await eventually(() => expect(done).toEqual([running]));
        await queue.add([[running], [waiting]]);
        await eventually(() => expect(done).toEqual([running, running, waiting]));
      });

      test.each([
        [
          "down",
          () => backend.server.stop(),
          async () => {
            await backend.server.start();
            await backend.prepare();
          },
        ],
        ["frozen", () => backend.server.freeze(), () => backend.server.thaw()],
      ])(
        "while the backend is %s, adds and pings fail within seconds; afterwards both work, and consumers go on",
        async (_, begin, end) => {
          const impatient = open(IMPATIENT);
          const { done } = consume(undefined, { on: impatient });
          // Tried again: on a busy machine a second can pass although nothing is the matter.
          const works = async (batch: number): Promise<void> => {
            await eventually(() => impatient.add([[batch]]));
            await eventually(() => expect(done).toContain(batch));
          };
          await works(newBatch());
          await begin();
          const added = newBatch();
          await Promise.all([
            failsSoon(() => impatient.ping()),
            failsSoon(() => impatient.add([[added]])),
            failsSoon(() => impatient.add([[newBatch()], [newBatch()]])),
            ...Array.from({ length: 20 }, () => failsSoon(() => impatient.add([[newBatch()]]))),
          ]);
          await failsSoon(() => impatient.add([[newBatch()]]));
          await end();
          await eventually(() => impatient.ping());
          await works(added);
          await works(newBatch());
        },
      );

      test("a queue and a consumer that are opened while the backend is down work once it is up", async () => {
        await backend.server.stop();
        const early = open(IMPATIENT);
        const { done } = consume(undefined, { on: early });
        await Promise.all([failsSoon(() => early.add([[newBatch()]])), failsSoon(() => early.ping())]);
        await backend.server.start();
        await backend.prepare();
        const batch = newBatch();
        await eventually(() => early.add([[batch]]));
        await eventually(() => expect(done).toContain(batch));
      });

      test("a job that ends while the backend is down is done, and makes room soon after the backend is back", async () => {
        const ends = Promise.withResolvers<void>();
        const { began, done } = consume(() => ends.promise);
        await queue.add([[newBatch()]]);
        await eventually(() => expect(began).toHaveLength(1));
        await backend.server.stop();
        ends.resolve();
        await eventually(() => expect(done).toHaveLength(1));
        await backend.server.start();
        await backend.prepare();
        const next = newBatch();
        await eventually(() => queue.add([[next]]));
        await eventually(() => expect(done).toContain(next), { timeoutMs: 15_000 });
        expect(done).toHaveLength(2);
      });

      test("adds that are under way when the backend dies all end soon, and none of them hangs", async () => {
        const impatient = open(IMPATIENT);
        await impatient.add([[newBatch()]]);
        await backend.server.freeze();
        const before = performance.now();
        const adds = Promise.allSettled(Array.from({ length: 20 }, () => impatient.add([[newBatch()]])));
        await backend.server.kill();
        for (const result of await adds) {
          // One or the other may have been quicker than the frost.
          if (result.status === "rejected") expect(result.reason).toBeInstanceOf(QueueUnavailableError);
        }
        expect(performance.now() - before).toBeLessThan(SOON_MS);
        await backend.server.start();
        await backend.prepare();
        await eventually(() => impatient.add([[newBatch()]]));
      });

      test("a connection that falls silent is given up: the next add goes by another", async () => {
        const proxy = await startSilentProxy(backend.server.port);
        const behindProxy = open(IMPATIENT, proxy.urlFor(backend.server.url));
        await behindProxy.add([[newBatch()]]);
        proxy.silence();
        // As many as the connections of a pool, should there be one.
        await Promise.all(Array.from({ length: 4 }, () => failsSoon(() => behindProxy.add([[newBatch()]]))));
        await behindProxy.add([[newBatch()]]);
        await behindProxy.close();
        await proxy.close();
      });

      test("connections that are cut in the middle of a job are made again", async () => {
        const gate = Promise.withResolvers<void>();
        const tuned = open(QUICK);
        const { began, done } = consume(() => gate.promise, { on: tuned });
        const batch = newBatch();
        await tuned.add([[batch]]);
        await eventually(() => expect(began).toHaveLength(1));
        await backend.server.kill();
        await backend.server.start();
        await backend.prepare();
        gate.resolve();
        await eventually(() => tuned.add([[newBatch()]]));
        await eventually(() => expect(done.length).toBeGreaterThanOrEqual(2));
      });

      test("closing while the backend is away does not hang", async () => {
        const { consumer, done } = consume();
        await addAndAwait(done);
        await backend.server.freeze();
        const before = performance.now();
        await consumer.close(300);
        await queue.close();
        expect(performance.now() - before).toBeLessThan(SOON_MS);
      });
    });
  });
}
