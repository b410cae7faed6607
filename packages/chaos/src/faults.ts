import { setTimeout as sleep } from "node:timers/promises";
import { createReplay, runRetention } from "@penstock/store";
import { Redis } from "ioredis";
import type { Proxy, ProxyMode } from "./proxy.ts";
import { type Kept, type Scene, untilStarted } from "./scene.ts";
import type { Fault, FaultKind } from "./schedule.ts";
import type { ChaosSender } from "./sender.ts";

const ACTOR = "chaos";

/** What a fault has at hand. */
interface Place {
  readonly scene: Scene;
  readonly sender: ChaosSender;
  /** The number of a process, a table, a handler. */
  readonly which: string;
  readonly lastsMs: number;
}

type Deed = (place: Place) => Promise<void>;

/** Begins something and ends it after as long as the fault lasts. */
const during =
  (begin: (place: Place) => unknown, end: (place: Place) => unknown): Deed =>
  async (place) => {
    await begin(place);
    try {
      await sleep(place.lastsMs);
    } finally {
      await end(place);
    }
  };

const ingestOf = ({ scene, which }: Place): Kept | undefined => scene.ingests[Number(which)];
const workerOf = ({ scene, which }: Place): Kept | undefined => scene.workers[Number(which)];
const beforeIngest = ({ scene, which }: Place): Proxy | undefined => scene.proxies.ingests[Number(which)];
const beforePostgres = ({ scene }: Place): Proxy => scene.proxies.postgres;
const beforeRedis = ({ scene }: Place): Proxy | null => scene.proxies.redis;

const killed =
  (of: (place: Place) => Kept | undefined): Deed =>
  async (place) =>
    of(place)?.signal("SIGKILL");
const stopped =
  (of: (place: Place) => Kept | undefined): Deed =>
  (place) =>
    stop(of(place));
const frozen = (of: (place: Place) => Kept | undefined): Deed =>
  during(
    (place) => of(place)?.signal("SIGSTOP"),
    (place) => of(place)?.signal("SIGCONT"),
  );

type ProxyOf = (place: Place) => Proxy | null | undefined;
const reset =
  (proxy: ProxyOf): Deed =>
  async (place) =>
    proxy(place)?.reset();
const halfOpen =
  (proxy: ProxyOf): Deed =>
  async (place) =>
    proxy(place)?.halfOpen();
const inMode = (mode: ProxyMode, proxy: ProxyOf): Deed =>
  during(
    (place) => proxy(place)?.setMode(mode),
    (place) => proxy(place)?.setMode("pass"),
  );

const redisDoes =
  (...command: string[]) =>
  ({ scene }: Place): Promise<void> =>
    askRedis(scene, command);

/** An order for the handler `which`, in the next event. Resolves when that was sent, and has most likely reached the handler. */
const ordered =
  (order: string): Deed =>
  ({ sender, which }) => {
    sender.order(`${order} ${which}`);
    return sleep(1_000);
  };

const DEEDS: { readonly [Kind in FaultKind]: Deed } = {
  "ingest-killed": killed(ingestOf),
  "ingest-stopped": stopped(ingestOf),
  "ingest-frozen": frozen(ingestOf),
  "ingest-reset": reset(beforeIngest),
  "ingest-black-hole": inMode("black hole", beforeIngest),
  "ingest-answers-lost": inMode("answers lost", beforeIngest),
  "ingest-half-open": halfOpen(beforeIngest),
  "ingest-slow": inMode("slow", beforeIngest),
  "worker-killed": killed(workerOf),
  "worker-stopped": stopped(workerOf),
  "worker-frozen": frozen(workerOf),
  "worker-frozen-past-lease": frozen(workerOf),
  "worker-frozen-past-all-leases": frozen(workerOf),
  "redis-killed": during(
    ({ scene }) => scene.redis?.kill(),
    ({ scene: { redis } }) => redis && untilStarted(() => redis.start()),
  ),
  "redis-wiped": redisDoes("FLUSHALL"),
  "redis-full": during(redisDoes("CONFIG", "SET", "maxmemory", "1mb"), redisDoes("CONFIG", "SET", "maxmemory", "0")),
  "redis-read-only": during(redisDoes("REPLICAOF", "127.0.0.1", "1"), redisDoes("REPLICAOF", "NO", "ONE")),
  "redis-frozen": during(
    ({ scene }) => scene.redis?.freeze(),
    ({ scene }) => scene.redis?.thaw(),
  ),
  "redis-reset": reset(beforeRedis),
  "redis-black-hole": inMode("black hole", beforeRedis),
  "redis-answers-lost": inMode("answers lost", beforeRedis),
  "redis-half-open": halfOpen(beforeRedis),
  "postgres-killed": during(
    ({ scene }) => scene.postgres.kill(),
    ({ scene }) => scene.postgres.start(),
  ),
  "postgres-terminated": async ({ scene }) => {
    await scene.postgres.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`,
    );
  },
  "postgres-locked": lockTable,
  "postgres-locked-long": lockTable,
  "postgres-frozen": during(
    ({ scene }) => scene.postgres.freeze(),
    ({ scene }) => scene.postgres.thaw(),
  ),
  "postgres-checkpointer-frozen": freezeCheckpointer,
  "postgres-reset": reset(beforePostgres),
  "postgres-black-hole": inMode("black hole", beforePostgres),
  "postgres-answers-lost": inMode("answers lost", beforePostgres),
  "postgres-half-open": halfOpen(beforePostgres),
  "postgres-slow": inMode("slow", beforePostgres),
  "handler-throws": ordered("throw"),
  "handler-hangs": ordered("hang"),
  "handler-ends-process": ordered("end"),
  retention,
  replay,
};

/** Brings a fault about, and resolves when it has ended: from then on the time of the recovery runs. */
export async function bringAbout(scene: Scene, sender: ChaosSender, fault: Fault): Promise<void> {
  const { kind, which, delayMs, lastsMs } = fault;
  await sleep(delayMs);
  await DEEDS[kind]({ scene, sender, which, lastsMs });
}

/** SIGTERM under load. Resolves once the process has ended: it is started again by itself. */
async function stop(process: Kept | undefined): Promise<void> {
  const pid = process?.pid() ?? null;
  if (process === undefined || pid === null) return;
  process.signal("SIGTERM");
  for (let waitedMs = 0; process.pid() === pid && waitedMs < 30_000; waitedMs += 50) await sleep(50);
  // It has 18 s to stop by itself: one that does not would be an error of ours.
  if (process.pid() === pid) throw new Error(`${process.name} did not end within 30 s of SIGTERM`);
}

async function lockTable({ scene, which, lastsMs }: Place): Promise<void> {
  const lock = `BEGIN; LOCK TABLE penstock.${which} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(${lastsMs / 1_000}); COMMIT`;
  for (;;) {
    try {
      await scene.postgres.query(lock);
      return;
    } catch (error) {
      // Chosen to end a deadlock, which is the fate of whoever locks a whole table.
      if ((error as { code?: unknown }).code !== "40P01") throw error;
    }
  }
}

async function freezeCheckpointer(place: Place): Promise<void> {
  const [row] = await place.scene.postgres.query<{ pid: number }>(
    "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'",
  );
  const pid = row?.pid;
  if (pid === undefined) return;
  await during(
    () => process.kill(pid, "SIGSTOP"),
    () => process.kill(pid, "SIGCONT"),
  )(place);
}

async function askRedis({ redis }: Scene, [command = "", ...args]: readonly string[]): Promise<void> {
  const client = new Redis(redis?.url ?? "", { commandTimeout: 10_000 });
  client.on("error", () => undefined);
  try {
    await client.call(command, ...args);
  } finally {
    client.disconnect();
  }
}

/** A run of retention for a policy by which nothing of today is due. */
async function retention({ scene: { store } }: Place): Promise<void> {
  const policy = { days: 1, bytes: null, dedupeWindowDays: 2, sources: {} };
  await runRetention(store, policy, { by: { actor: ACTOR } });
}

/** Has everything that a handler has done so far be done again. */
async function replay({ scene: { store } }: Place): Promise<void> {
  const id = `chaos-${Math.round(performance.now())}`;
  await createReplay(store, { id, request: { handler: "rows" }, handler: "rows", reason: "chaos", rate: 200 }, ACTOR);
}
