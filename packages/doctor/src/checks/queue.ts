import type { QueueServer } from "@penstock/queue";
import { type Check, fail, type Finding, ok, warn } from "../check.ts";
import { bytes } from "../words.ts";

const FULL = 0.9;

export const queue: Check = {
  part: "Queue",
  asksPostgres: false,
  async run({ queue: events }) {
    if (events === null) {
      return [fail("queue.works", "QUEUE_URL is wrong, so the queue was not looked at", "Correct it (see Settings).")];
    }
    const server = await events
      .inspect()
      .catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
    if (server instanceof Error) {
      return [
        fail(
          "queue.works",
          `the queue does not work: ${server.message}. Events are accepted and kept in Postgres, and wait`,
          "Start it or correct QUEUE_URL; what waits is handled by itself then.",
        ),
      ];
    }
    const trouble = (await events.warnings()).filter((text) => !text.includes("maxmemory-policy"));
    const works = trouble.map((text) => fail("queue.works", text, "Mend it; what waits is handled by itself then."));
    if (server.kind === "postgres") {
      return works.length > 0 ? works : [ok("queue.works", "the queue is in Postgres and works")];
    }
    return [
      ...(works.length > 0 ? works : [ok("queue.works", `${server.name} ${server.version} works`)]),
      eviction(server),
      memory(server),
      persistence(server),
    ];
  },
};

type Redis = Extract<QueueServer, { readonly kind: "redis" }>;

function eviction({ evictionPolicy: policy, evictedKeys }: Redis): Finding {
  if (policy === "noeviction") return ok("queue.eviction", "maxmemory-policy is noeviction");
  return fail(
    "queue.eviction",
    `maxmemory-policy is ${policy}: when memory runs short, Redis drops jobs${evictedKeys > 0 ? ` (${evictedKeys} keys so far)` : ""}. No event is lost; each dropped one waits until a worker finds it in Postgres`,
    "Set it: CONFIG SET maxmemory-policy noeviction, and in redis.conf.",
  );
}

function memory({ usedBytes, maxBytes }: Redis): Finding {
  if (maxBytes === 0) return ok("queue.memory", `it uses ${bytes(usedBytes)}, and has no maxmemory`);
  const of = `it uses ${bytes(usedBytes)} of ${bytes(maxBytes)}`;
  return usedBytes < maxBytes * FULL
    ? ok("queue.memory", of)
    : warn(
        "queue.memory",
        `${of}: soon it takes no more jobs`,
        "Raise maxmemory, or give the queue a Redis of its own.",
      );
}

function persistence({ persistence: kind, failsToSave }: Redis): Finding {
  if (failsToSave) {
    return warn(
      "queue.persistence",
      "Redis cannot save its data to disk, and may refuse writes",
      'Free its disk, or switch saving off, which the queue does not need: CONFIG SET save "" and CONFIG SET appendonly no',
    );
  }
  return ok(
    "queue.persistence",
    kind === "none"
      ? "it keeps nothing on disk, as the queue needs"
      : `it keeps a ${kind === "log" ? "log" : "snapshot"} on disk, which the queue does not need`,
  );
}
