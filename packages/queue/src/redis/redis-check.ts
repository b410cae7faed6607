import { randomUUID } from "node:crypto";
import { explainCertificateError, isCertificateError } from "@penstock/schemas";
import type { Redis } from "ioredis";

// What adding a job comes down to: a script that writes, under a key like those of jobs.
const ADD = "redis.call('ZADD', KEYS[1], 1, 'x') return redis.call('PEXPIRE', KEYS[1], 10000)";

/**
 * Does once what a queue needs of Redis: INFO, a script that writes, a blocking read. Leaves nothing behind. A PING would not
 * do: a Redis can answer it and refuse everything else.
 */
export async function checkRedis(redis: Redis, prefix: string): Promise<void> {
  const key = `${prefix}:events:check:${randomUUID()}`;
  await redis.info("server");
  await redis.eval(ADD, 1, key);
  await redis.bzpopmin(key, 1);
}

/** By what Redis says: what it means, and what to do. */
const MEANINGS: readonly (readonly [RegExp, string])[] = [
  [/^NOAUTH/, "Redis wants a password, and QUEUE_URL has none. Put it there: redis://:password@host:6379"],
  [/^WRONGPASS|invalid password/, "Redis refuses the user or the password in QUEUE_URL. Correct it there"],
  [/^READONLY/, "this Redis is a replica and takes no writes. Put the address of its primary into QUEUE_URL"],
  [
    /^MISCONF/,
    'Redis cannot save its data to disk and takes no writes. Free its disk, or switch saving off, which the queue does not need: CONFIG SET save ""',
  ],
  [/^OOM/, "Redis has used up its maxmemory and takes no writes. Raise it, or give the queue a Redis of its own"],
  [/^LOADING/, "Redis is still reading its data from disk. It works once that is done"],
  [/^MASTERDOWN/, "this Redis is a replica that has lost its primary. Put the address of the primary into QUEUE_URL"],
  [
    /^NOREPLICAS/,
    "Redis has fewer replicas than its min-replicas-to-write and takes no writes. Mend the replicas, or set it lower",
  ],
  [
    /^NOPERM|ACL failure in script|has no permissions to|can't run this command/,
    "the user in QUEUE_URL may not do in Redis what the queue needs. Allow it: ACL SETUSER <user> ~bull:* +@all",
  ],
  [
    /^(?:MOVED|CLUSTERDOWN|CROSSSLOT)/,
    "QUEUE_URL leads to a Redis Cluster, which is not supported. Take a Redis that is none",
  ],
  [
    /^DENIED/,
    "Redis runs in protected mode and takes no connection from here. Give it a password, and put it into QUEUE_URL",
  ],
  [/max number of clients/, "Redis has as many clients as its maxclients allows. Raise it, or find out who holds them"],
  [/DB index is out of range/, "Redis has no database of the number at the end of QUEUE_URL. Take a lower one, or 0"],
];

/** What an error of Redis or of its client means for an operator, and what to do; its own words where that is all. */
export function explainRedisError(error: Error): string {
  if (isCertificateError(error)) return explainCertificateError("Redis", error.message);
  const meaning = MEANINGS.find(([pattern]) => pattern.test(error.message))?.[1];
  return meaning === undefined ? error.message : `${meaning} (Redis says: ${error.message.split(". script:")[0]})`;
}
