import { setTimeout as sleep } from "node:timers/promises";
import { createReplay, runRetention } from "@penstock/store";
import { Redis } from "ioredis";
import type { Proxy, ProxyMode } from "./proxy.ts";
import type { Kept, Scene } from "./scene.ts";
import type { Fault } from "./schedule.ts";
import type { ChaosSender } from "./sender.ts";

const ACTOR = "chaos";

/** Brings a fault about, and resolves when it has ended: from then on the time of the recovery runs. */
export async function bringAbout(scene: Scene, sender: ChaosSender, { kind, which, lastsMs }: Fault): Promise<void> {
  const { postgres, redis, proxies } = scene;
  const during = async (begin: () => unknown, end: () => unknown): Promise<void> => {
    await begin();
    try {
      await sleep(lastsMs);
    } finally {
      await end();
    }
  };
  const [target = "", ...rest] = kind.split("-");
  const what = rest.join("-");

  if (target === "handler") {
    sender.order(`${{ throws: "throw", hangs: "hang" }[what] ?? "end"} ${which}`);
    // Until the event was sent and has reached its handler.
    return sleep(1_000);
  }
  if (kind === "retention") return retention(scene);
  if (kind === "replay") return replay(scene);

  const process = { ingest: scene.ingests, worker: scene.workers }[target]?.[Number(which)];
  const proxy = { ingest: proxies.ingests[Number(which)], postgres: proxies.postgres, redis: proxies.redis }[target];
  if (process !== undefined && what === "killed") return void process.signal("SIGKILL");
  if (process !== undefined && what === "stopped") return stop(process);
  if (process !== undefined && what.startsWith("frozen")) return freeze(process, lastsMs);
  if (proxy && (await disturb(proxy, what, during))) return;

  switch (kind) {
    case "redis-killed":
      return during(
        () => redis?.kill(),
        () => redis?.start(),
      );
    case "redis-wiped":
      return askRedis(scene, ["FLUSHALL"]);
    case "redis-full":
      return during(
        () => askRedis(scene, ["CONFIG", "SET", "maxmemory", "1mb"]),
        () => askRedis(scene, ["CONFIG", "SET", "maxmemory", "0"]),
      );
    case "redis-read-only":
      return during(
        () => askRedis(scene, ["REPLICAOF", "127.0.0.1", "1"]),
        () => askRedis(scene, ["REPLICAOF", "NO", "ONE"]),
      );
    case "redis-frozen":
      return during(
        () => redis?.freeze(),
        () => redis?.thaw(),
      );
    case "postgres-killed":
      return during(postgres.kill, postgres.start);
    case "postgres-frozen":
      return during(postgres.freeze, postgres.thaw);
    case "postgres-terminated":
      await postgres.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`,
      );
      return;
    case "postgres-locked":
    case "postgres-locked-long":
      return lockTable(scene, which, lastsMs);
    case "postgres-checkpointer-frozen":
      return freezeCheckpointer(scene, during);
    default:
      throw new Error(`nobody knows how to bring about ${kind}`);
  }
}

type During = (begin: () => unknown, end: () => unknown) => Promise<void>;

const MODES: Readonly<Record<string, ProxyMode>> = {
  slow: "slow",
  "black-hole": "black hole",
  "answers-lost": "answers lost",
};

/** Disturbs connections; false where the fault is none of connections. */
async function disturb(proxy: Proxy, what: string, during: During): Promise<boolean> {
  const mode = MODES[what];
  if (what === "reset") proxy.reset();
  else if (what === "half-open") proxy.halfOpen();
  else if (mode !== undefined) {
    await during(
      () => proxy.setMode(mode),
      () => proxy.setMode("pass"),
    );
  } else return false;
  return true;
}

/** SIGTERM under load. Resolves once the process has ended: it is started again by itself. */
async function stop(process: Kept): Promise<void> {
  const pid = process.pid();
  if (pid === null) return;
  process.signal("SIGTERM");
  for (let waitedMs = 0; process.pid() === pid && waitedMs < 30_000; waitedMs += 50) await sleep(50);
  // It has 18 s to stop by itself: one that does not would be an error of ours.
  if (process.pid() === pid) throw new Error(`${process.name} did not end within 30 s of SIGTERM`);
}

async function freeze(kept: Kept, lastsMs: number): Promise<void> {
  kept.signal("SIGSTOP");
  await sleep(lastsMs);
  kept.signal("SIGCONT");
}

async function lockTable({ postgres }: Scene, table: string, lastsMs: number): Promise<void> {
  const lock = `BEGIN; LOCK TABLE penstock.${table} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(${lastsMs / 1_000}); COMMIT`;
  for (;;) {
    try {
      await postgres.query(lock);
      return;
    } catch (error) {
      // Chosen to end a deadlock, which is the fate of whoever locks a whole table.
      if ((error as { code?: unknown }).code !== "40P01") throw error;
    }
  }
}

async function freezeCheckpointer({ postgres }: Scene, during: During): Promise<void> {
  const [row] = await postgres.query<{ pid: number }>(
    "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'",
  );
  const pid = row?.pid;
  if (pid === undefined) return;
  await during(
    () => process.kill(pid, "SIGSTOP"),
    () => process.kill(pid, "SIGCONT"),
  );
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
async function retention({ store }: Scene): Promise<void> {
  const policy = { days: 1, bytes: null, dedupeWindowDays: 2, sources: {} };
  await runRetention(store, policy, { by: { actor: ACTOR } });
}

/** Has everything that a handler has done so far be done again. */
async function replay({ store }: Scene): Promise<void> {
  const id = `chaos-${Math.round(performance.now())}`;
  await createReplay(store, { id, request: { handler: "rows" }, handler: "rows", reason: "chaos", rate: 200 }, ACTOR);
}
