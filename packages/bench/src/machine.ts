import { execFileSync } from "node:child_process";
import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, loadavg, release, tmpdir, totalmem, type as systemName } from "node:os";
import { join } from "node:path";
import { launchRedis, ROOT } from "@penstock/testing/servers";
import { Redis } from "ioredis";
import type { Postgres } from "./stage.ts";
import { median } from "./statistics.ts";

/** On what and with which settings was measured: name and value. */
export type Facts = Readonly<Record<string, string>>;

const PEERS = ["express", "bullmq", "graphile-worker", "pg-boss", "pg", "ioredis"];

/** Asks the machine and the servers themselves. */
export async function describeMachine(postgres: Postgres): Promise<Facts> {
  const cores = cpus();
  const names = ["server_version", "fsync", "full_page_writes", "synchronous_commit", "wal_sync_method"];
  names.push("shared_buffers", "max_wal_size", "track_commit_timestamp");
  const rows = await postgres.admin<{ name: string; setting: string }>(
    `SELECT name, current_setting(name) AS setting FROM unnest('{${names.join(",")}}'::text[]) AS name`,
  );
  return {
    machine: `${cores.length} × ${cores[0]?.model ?? "?"}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${systemName()} ${release()}`,
    disk: `${fileSystem(tmpdir())}, ${flushMs().toFixed(2)} ms to write and flush 8 KiB (median)`,
    "load before": loadavg()
      .map((load) => load.toFixed(2))
      .join(" "),
    commit: git(),
    node: process.version,
    postgres: rows.map(({ name, setting }) => (name === "server_version" ? setting : `${name}=${setting}`)).join(", "),
    redis: await describeRedis(),
    peers: PEERS.map((name) => `${name} ${versionOf(name)}`).join(", "),
  };
}

async function describeRedis(): Promise<string> {
  const server = await launchRedis(true);
  const client = new Redis(server.url);
  try {
    const version = /redis_version:(\S+)/.exec(await client.info("server"))?.[1];
    const settings = (await client.call("CONFIG", "GET", "append*")) as string[];
    const value = (name: string): string => `${name}=${settings[settings.indexOf(name) + 1]}`;
    return `${version}, ${value("appendonly")}, ${value("appendfsync")} for peers; Penstock's keeps nothing on disk`;
  } finally {
    client.disconnect();
    await server.remove();
  }
}

function versionOf(name: string): string {
  // Not require(`${name}/package.json`): some do not export it.
  const paths = createRequire(import.meta.url).resolve.paths(name) ?? [];
  for (const path of paths) {
    try {
      return (JSON.parse(readFileSync(join(path, name, "package.json"), "utf8")) as { version: string }).version;
    } catch {
      // Not there: the next one.
    }
  }
  return "?";
}

function fileSystem(folder: string): string {
  try {
    return execFileSync("stat", ["-f", "-c", "%T", folder], { encoding: "utf8" }).trim();
  } catch {
    return "unknown file system";
  }
}

function flushMs(): number {
  const file = join(tmpdir(), `penstock-bench-${process.pid}`);
  const page = Buffer.alloc(8192, 1);
  const descriptor = openSync(file, "w");
  try {
    const times = Array.from({ length: 50 }, (_, at) => {
      const startedAt = performance.now();
      writeSync(descriptor, page, 0, page.length, at * page.length);
      fdatasyncSync(descriptor);
      return performance.now() - startedAt;
    });
    return median(times);
  } finally {
    closeSync(descriptor);
    rmSync(file);
  }
}

function git(): string {
  try {
    const options = { cwd: ROOT, encoding: "utf8" } as const;
    const changed = execFileSync("git", ["status", "--porcelain"], options).trim() !== "";
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], options).trim() + (changed ? " with changes" : "");
  } catch {
    return "unknown";
  }
}
