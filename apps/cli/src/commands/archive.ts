import {
  archiveDay,
  listArchivedDays,
  type Manifest,
  readArchived,
  readManifest,
  toLines,
  verifyDay,
} from "@penstock/archive";
import { wallClockMs } from "@penstock/schemas";
import {
  findArchive,
  listArchives,
  listUnarchived,
  recordAudit,
  recordVerification,
  type Store,
  withArchiveLock,
} from "@penstock/store";
import { type Command, InvalidArgumentError } from "commander";
import { findArchiveConfig, withArchive } from "../archive/find-archive.ts";
import { writeLinesTo } from "../archive/write-file.ts";
import type { CliContext } from "../cli-context.ts";
import { CliError, ReportedFailure } from "../cli-error.ts";
import { withStore } from "../database.ts";
import { formatColumns } from "../output/columns.ts";
import { formatBytes } from "../output/format-bytes.ts";
import { printable } from "../output/printable.ts";

/** A day (UTC), as it is typed. */
export function day(text: string): string {
  if (/^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(`${text}T00:00:00Z`))) return text;
  throw new InvalidArgumentError("It must be a day (UTC) such as 2026-10-01.");
}

export function registerArchive(program: Command, ctx: CliContext): void {
  const archive = program
    .command("archive")
    .summary("days that are archived before retention deletes them")
    .description(
      "Shows, reads back and fetches what workers archive: with ARCHIVE_URL (s3://bucket/prefix or file:///folder) set for them, a day that is over is archived, read back, and deleted only then. Without an ARCHIVE_URL of their own, these commands use that of the workers.",
    );
  registerList(archive, ctx);
  registerVerify(archive, ctx);
  registerFetch(archive, ctx);
  registerRun(archive, ctx);
}

interface ListedDay {
  readonly day: string;
  readonly state: "verified" | "archived" | "damaged" | "unfinished";
  readonly events: number;
  readonly bytes: number;
  readonly problem: string | null;
}

function registerList(archive: Command, ctx: CliContext): void {
  archive
    .command("list")
    .summary("which days are archived")
    .description(
      "Lists the days that lie in the archive. verified: it was read back and is as it was written. unfinished: it has no manifest yet and does not count.",
    )
    .option("--json", "print one JSON object per day")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} archive list`)
    .action(async ({ json }: { json?: true }) => {
      const { url, days } = await withStore(ctx, (store) =>
        withArchive(ctx, async (storage) => ({ url: storage.url, days: await listDays(store, storage) }), store),
      );
      if (json) return days.forEach((one) => ctx.output.json(one));
      if (days.length === 0) return ctx.output.say(`No day is archived in ${url} yet.`);
      const rows = days.map(({ day, state, events, bytes, problem }) => [
        day,
        state,
        String(events),
        formatBytes(bytes),
        printable(problem ?? ""),
      ]);
      ctx.output.result(formatColumns([["DAY", "STATE", "EVENTS", "SIZE", ""], ...rows]));
    });
}

async function listDays(store: Store, storage: Parameters<typeof listArchivedDays>[0]): Promise<ListedDay[]> {
  const known = new Map((await listArchives(store.pool)).map((record) => [record.day, record]));
  return (await listArchivedDays(storage)).map(({ day, manifest, problem }) => {
    const record = known.get(day)?.url === storage.url ? known.get(day) : undefined;
    const wrong = problem ?? (manifest === null ? null : (record?.problem ?? null));
    const state =
      wrong !== null ? "damaged" : manifest === null ? "unfinished" : record?.verifiedAt ? "verified" : "archived";
    return { day, state, events: manifest?.events ?? 0, bytes: manifest?.bytes ?? 0, problem: wrong };
  });
}

function registerVerify(archive: Command, ctx: CliContext): void {
  archive
    .command("verify")
    .argument("[day]", "the day (UTC); all that are archived without it", day)
    .summary("read archived days back, and compare them with what was written")
    .description(
      "Reads all of an archived day, or of all days, and compares sizes, SHA-256 and counts with its manifest. What comes of it is on record: a day whose archive is damaged is not deleted.",
    )
    .option("--json", "print one JSON object per day")
    .addHelpText("after", `\nExamples:\n  ${ctx.penstock} archive verify 2026-10-01\n  ${ctx.penstock} archive verify`)
    .action(async (named: string | undefined, { json }: { json?: true }) => {
      let damaged = 0;
      await withStore(ctx, (store) =>
        withArchive(
          ctx,
          async (storage) => {
            const days = named === undefined ? (await listArchivedDays(storage)).map(({ day }) => day) : [named];
            if (days.length === 0) ctx.output.say(`No day is archived in ${storage.url} yet.`);
            for (const day of days) {
              const record = await findArchive(store.pool, day);
              const isWritten = record?.url === storage.url && record.writtenAt !== null;
              const { manifest, isArchived, problems } = await verifyDay(storage, day);
              if (!isArchived && !isWritten) {
                if (named !== undefined) throw new CliError(await whyNotArchived(ctx, store, storage.url, day));
                if (json) ctx.output.json({ day, events: 0, bytes: 0, problems: [] });
                else ctx.output.result(`${day} is unfinished: it has no manifest yet and does not count`);
                continue;
              }
              if (isWritten) {
                await recordVerification(store.pool, day, problems.length === 0 ? null : problems.join("; "));
              }
              if (problems.length > 0) damaged++;
              const { events = 0, bytes = 0, parts = [] } = manifest ?? {};
              if (json) ctx.output.json({ day, events, bytes, problems });
              else if (problems.length > 0) ctx.output.result([`${day} is damaged:`, ...problems].join("\n  "));
              else ctx.output.result(`${day} is as it was written: ${describe({ events, bytes, parts })}`);
            }
          },
          store,
        ),
      );
      if (damaged > 0) throw new ReportedFailure("an archive is damaged");
    });
}

const describe = ({ events, bytes, parts }: Pick<Manifest, "events" | "bytes" | "parts">): string =>
  `${events === 1 ? "1 event" : `${events} events`}, ${formatBytes(bytes)} in ${parts.length === 1 ? "1 part" : `${parts.length} parts`}`;

function registerFetch(archive: Command, ctx: CliContext): void {
  archive
    .command("fetch")
    .argument("<day>", "the day (UTC)", day)
    .summary("write the events of an archived day to a file or to standard output")
    .description(
      "Writes the events of an archived day as lines of JSON, the first a header, the last a count. It needs no database where ARCHIVE_URL is set.",
    )
    .option("--output <file>", "to this file, compressed where it ends in .gz; to standard output unless given")
    .addHelpText(
      "after",
      `\nExamples:\n  ${ctx.penstock} archive fetch 2026-10-01 --output 2026-10-01.ndjson.gz\n  npm run --silent penstock -- archive fetch 2026-10-01 | jq -r 'select(.source == "shop-eu") | .body'`,
    )
    .action(async (day: string, { output }: { output?: string }) => {
      await withArchive(ctx, async (storage) => {
        const manifest = await readManifest(storage, day);
        if (manifest === null) throw new CliError(noArchive(ctx, day, storage.url));
        await writeLinesTo(
          ctx,
          output,
          toLines({ penstock: "events", version: 1, day }, readArchived(storage, manifest)),
        );
        ctx.output.say(`${manifest.events === 1 ? "1 event" : `${manifest.events} events`} of ${day}.`);
      });
    });
}

export const noArchive = (ctx: CliContext, day: string, url: string): string =>
  `Day ${day} is not archived in ${url}: see \`${ctx.penstock} archive list\`.`;

function registerRun(archive: Command, ctx: CliContext): void {
  archive
    .command("run")
    .argument("[day]", "the day (UTC); all that are over and not archived without it", day)
    .summary("archive what is over, now, without waiting for a worker")
    .description(
      "Archives days that are over and not archived yet, and reads them back, as a worker does each ten minutes. Deletes nothing. One that is broken off goes on where it was.",
    )
    .option("--json", "print one JSON object per day")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} archive run`)
    .action(async (named: string | undefined, { json }: { json?: true }) => {
      await findArchiveConfig(ctx);
      let damaged = 0;
      await withStore(ctx, (store) =>
        withArchive(
          ctx,
          async (storage) => {
            const done = await withArchiveLock(store, async () => {
              const due = await listUnarchived(store, storage.url);
              if (named !== undefined && !due.includes(named)) throw new CliError(await whyNotDue(ctx, store, named));
              const days = named === undefined ? due : [named];
              if (days.length === 0) ctx.output.say(`Every day that is over is archived in ${storage.url}.`);
              for (const day of days) {
                await recordAudit(store.pool, { actor: ctx.actor, action: "archive.run", target: day });
                const archived = await archiveDay(store, storage, day, {
                  now: new Date(wallClockMs()),
                  signal: ctx.stop,
                });
                if (archived === null) return true;
                const { manifest, problems } = archived;
                if (problems.length > 0) damaged++;
                const { events = 0, bytes = 0, parts = [] } = manifest ?? {};
                if (json) ctx.output.json({ day, events, bytes, problems });
                else if (problems.length > 0) ctx.output.result([`${day} is damaged:`, ...problems].join("\n  "));
                else ctx.output.result(`${day} is archived and verified: ${describe({ events, bytes, parts })}`);
              }
              return true;
            });
            if (done === null)
              throw new CliError("A worker is archiving at this moment: look at `archive list` in a minute.");
          },
          store,
        ),
      );
      if (damaged > 0) throw new ReportedFailure("an archive is damaged");
    });
}

async function whyNotArchived(ctx: CliContext, store: Store, url: string, day: string): Promise<string> {
  const isDue = (await listUnarchived(store, url)).includes(day);
  const advice = isDue ? `\`${ctx.penstock} archive run ${day}\` archives it now.` : await whyNotDue(ctx, store, day);
  return `Day ${day} is not archived in ${url}, so there is nothing to verify. ${advice}`;
}

async function whyNotDue(ctx: CliContext, store: Store, day: string): Promise<string> {
  const record = await findArchive(store.pool, day);
  if (record?.verifiedAt) return `Day ${day} is archived and verified in ${record.url} already.`;
  return `Day ${day} is not to be archived: it is not over, has events that no worker has processed yet, or has none at all. See \`${ctx.penstock} retention plan\`.`;
}
