import { createReadStream } from "node:fs";
import { basename, resolve } from "node:path";
import { ArchiveDamagedError, openLines } from "@penstock/archive";
import type { NewEvent } from "@penstock/intake";
import { commitBatch, leaveOutKnown, readPolicy, recordAudit, type Store } from "@penstock/store";
import type { Command } from "commander";
import { type ImportedFile, importEvents } from "../archive/import-events.ts";
import { importRefused } from "../archive/import-refused.ts";
import type { CliContext } from "../cli-context.ts";
import { CliError, StoppedError } from "../cli-error.ts";
import { findStoreConfig, withStore } from "../database.ts";
import { describeError } from "../describe-error.ts";
import { printable } from "../output/printable.ts";
import { openQueuePool } from "../queue-job.ts";

/** What may be in a file, by what its first line says: how events are read from it. */
const FORMATS: Readonly<Record<string, (file: ImportedFile) => AsyncIterable<NewEvent>>> = {
  events: importEvents,
  "refused-requests": importRefused,
};

/** Of one batch, as at intake. */
const MOST_EVENTS = 200;
const MOST_BYTES = 4 * 1024 * 1024;
const ADD_TIMEOUT_MS = 1_000;

export function registerImport(program: Command, ctx: CliContext): void {
  program
    .command("import")
    .argument(
      "<file>",
      "what `export`, `archive fetch`, or ingest during an outage wrote, compressed or not; - is standard input",
    )
    .summary("take events in from a file")
    .description(
      "Takes the events of a file in as if they had just been received. Those that are known already are left out, and handlers get the others. To import a file twice does no harm. What its first line is decides how it is read.",
    )
    .option(
      "--json",
      "print one JSON object: how many events there were, how many new ones were taken in, and how many were known",
    )
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} import dead.ndjson.gz`)
    .action(async (file: string, { json }: { json?: true }) => {
      const { events, fresh } = await withStore(ctx, (store) => importFile(ctx, store, file));
      if (json) return ctx.output.json({ events, new: fresh, known: events - fresh });
      ctx.output.result(
        `${events === 1 ? "1 event" : `${events} events`}: ${fresh} new and taken in, ${events - fresh} known already and left out. See \`${ctx.penstock} events list\`.`,
      );
    });
}

interface Imported {
  readonly events: number;
  /** Those that the ledger did not know. */
  readonly fresh: number;
}

async function importFile(ctx: CliContext, store: Store, file: string): Promise<Imported> {
  const path = file === "-" ? null : resolve(ctx.typedIn, file);
  const chunks = path === null ? process.stdin : createReadStream(path);
  let events = 0;
  let fresh = 0;
  try {
    const opened = await openLines(chunks as AsyncIterable<Buffer>);
    const read = FORMATS[String(opened.header?.["penstock"])];
    if (read === undefined) {
      throw new CliError(
        `${printable(file)} is no file of events: its first line is not that of an export. Make one by \`${ctx.penstock} export\`.`,
      );
    }
    const told = await readPolicy(store);
    await recordAudit(store.pool, { actor: ctx.actor, action: "events.import", target: basename(file) });
    await using queue = await openJobs(ctx);
    const windowDays = told?.policy.dedupeWindowDays ?? 400;
    for await (const batch of toBatches(read({ file: opened, path, windowDays, say: ctx.output.say }))) {
      const unknown = await leaveOutKnown(store, batch);
      if (unknown.length > 0) await queue.add(await commitBatch(store, unknown));
      events += batch.length;
      fresh += unknown.length;
      if (ctx.stop.aborted) throw new StoppedError(`stopped after ${events} events: import the file again to go on`);
    }
    return { events, fresh };
  } catch (error) {
    if (!(error instanceof ArchiveDamagedError) && (error as { code?: unknown }).code !== "ENOENT") throw error;
    const sofar =
      events === 0 ? "" : ` ${fresh} new events before that were taken in; to import them again does no harm.`;
    throw new CliError(`${printable(file)} cannot be imported: ${describeError(error)}.${sofar}`, { cause: error });
  }
}

async function* toBatches(events: AsyncIterable<NewEvent>): AsyncGenerator<NewEvent[]> {
  let batch: NewEvent[] = [];
  let bytes = 0;
  for await (const event of events) {
    if (batch.length > 0 && (batch.length >= MOST_EVENTS || bytes + event.body.length > MOST_BYTES)) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(event);
    bytes += event.body.length;
  }
  if (batch.length > 0) yield batch;
}

/** Adds jobs of batches. A queue that is away is no failure: a worker's sweep finds the batches. */
async function openJobs(ctx: CliContext) {
  const config = await findStoreConfig(ctx);
  // Loaded when needed: it brings BullMQ with it.
  const { openQueue, QUEUE_SCHEMA } = await import("@penstock/queue");
  const queue = openQueue(config.queue, openQueuePool(config, QUEUE_SCHEMA), { addTimeoutMs: ADD_TIMEOUT_MS });
  let isAway = false;
  return {
    async add(batch: number): Promise<void> {
      if (isAway) return;
      await queue.add([[batch]]).catch(() => {
        isAway = true;
      });
    },
    [Symbol.asyncDispose]: () => queue.close(),
  };
}
