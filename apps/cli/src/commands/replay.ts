import { randomBytes } from "node:crypto";
import { isEndpointId } from "@penstock/schemas";
import type { DeliveryStateName, EventPointer, NewReplay, WantedReplay } from "@penstock/store";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliError, UsageError } from "../cli-error.ts";
import { withStore } from "../database.ts";
import { addFilterOptions, type FilterOptions, toTyped } from "../filter-options.ts";
import { printable } from "../output/printable.ts";
import { describeStatus } from "../output/event-table.ts";
import { describeReplayCount } from "../output/replay-count.ts";
import { findEvent, noEndpoint, noHandler } from "../no-match.ts";
import { type Operations, operationsInStore, withOperations } from "../operations/with-operations.ts";
import { formatReplay, formatReplayTable } from "../output/replay-table.ts";
import { assertNoRemote } from "../remote.ts";
import { findOneEvent } from "../replay/find-one-event.ts";
import { replayFromArchive } from "../archive/replay-from-archive.ts";
import { readNewBody } from "../replay/new-body.ts";
import { wholeNumber } from "../whole-number.ts";
import { day } from "./archive.ts";
import { registerDryRun } from "./replay-dry-run.ts";

type CreateOptions = FilterOptions & {
  id?: string;
  missing?: true;
  quarantined?: true;
  again?: true;
  rate?: number;
  reason?: string;
  withBody?: string;
  fromArchive?: string;
  all?: true;
  yes?: true;
  json?: true;
};

/** What can be done again: what waits or runs is going to be done anyway. */
const REPLAYABLE: readonly DeliveryStateName[] = ["succeeded", "dead", "skipped", "cancelled"];

export function registerReplay(program: Command, ctx: CliContext): void {
  const replay = program
    .command("replay")
    .summary("do deliveries again: one, an event, or all that match")
    .description(
      "Has events handled again: one delivery, one event, or all that match; also by a handler that is new, and from quarantine. Workers do it, a bounded number at a time.",
    );
  registerCreate(replay, ctx);
  registerStatus(replay, ctx);
  registerCancel(replay, ctx);
  registerDryRun(replay, ctx);
}

function registerCreate(replay: Command, ctx: CliContext): void {
  addFilterOptions(replay.command("create"), REPLAYABLE)
    .argument("[event]", "the event's id, or its seq (7, or seq:7); without it, all that match the options")
    .summary("begin a replay")
    .description(
      `Begins a replay of what had been received by now and matches. Takes deliveries that succeeded or are dead; those that were skipped or cancelled were so on purpose, and are taken with --state. What waits or runs is left alone. Nothing is made that a handler never had, unless with --missing. An event that is named may be in quarantine: then it leaves it if it is understood now.`,
    )
    .option("--missing", "only where the --handler has no delivery yet: attaches it to history")
    .option("--quarantined", "only events in quarantine: those that are understood now leave it")
    .option("--again", "do effects (ctx.once) again, too, and with new idempotency keys")
    .addOption(new Option("--rate <n>", "how many deliveries per second at most").argParser(wholeNumber(1, 100_000)))
    .option("--reason <text>", "why; handlers see it")
    .addOption(
      new Option("--id <id>", "an id of yours: to create the same replay again is then no error").argParser(replayId),
    )
    .option("--with-body <file>", "handle this body instead, as a new event that is marked as a replay of this one")
    .addOption(
      new Option(
        "--from-archive <day>",
        "bring events of this day (UTC) back from its archive first, as they were; it is for handlers that have no delivery of them",
      ).argParser(day),
    )
    .option("--all", "all that has ever been received, where no option says which")
    .option("--yes", "really do it, where no event is named; without it, how many match is told")
    .option("--json", "print one JSON object: the replay")
    .addHelpText(
      "after",
      `\nExamples:\n  ${ctx.penstock} replay create evt_7f3a9b2c --handler inbox\n  ${ctx.penstock} replay create --handler inbox --state dead --since 2h --yes\n  ${ctx.penstock} replay create --handler greetings --missing --since 2026-06-01 --rate 50 --yes`,
    )
    .action(async (event: string | undefined, { json, yes, ...options }: CreateOptions) => {
      refuseOddOptions(ctx, event, options);
      if (options.fromArchive !== undefined) {
        return createFromArchive(ctx, event, {
          ...options,
          fromArchive: options.fromArchive,
          ...(json && { json }),
          ...(yes && { yes }),
        });
      }
      const { created, found, count, matching } = await withOperations(ctx, async (operations) => {
        const { wanted, ...of } = await toReplay(operations, ctx, event, options);
        // Of another body nothing has to match, and what was created before may well have been done.
        const isNew = of.body === undefined && (await operations.showReplay(wanted.id)) === null;
        const count = isNew ? await operations.countReplay(wanted, of) : undefined;
        if (count?.total === 0) throw new CliError(await explainNone(ctx, operations, wanted, of.pointer));
        const matching = count === undefined ? "" : describeReplayCount(count, wanted, new Date());
        if (event === undefined && !yes) {
          throw new UsageError(`${matching} ${adviceToLook(ctx, options)}, then add --yes.`.trim());
        }
        const created = await operations.createReplay(wanted, of);
        if (created === "different") {
          throw new CliError(
            `There is another replay ${printable(wanted.id)}: it was created with other options. See \`${ctx.penstock} replay status ${printable(wanted.id)}\`, or choose another --id.`,
          );
        }
        return { created, count, matching, found: await operations.showReplay(wanted.id) };
      });
      if (found === null) throw new CliError("The replay is gone.");
      if (json) return ctx.output.json({ created: created === "new", matches: count?.total ?? null, ...found });
      if (matching !== "") ctx.output.say(matching);
      ctx.output.result(created === "new" ? `replay ${found.id} created` : `replay ${found.id} was created before`);
      ctx.output.say(`See how far it is: ${ctx.penstock} replay status ${found.id}`);
    });
}

/** Begins a replay of what is brought back from an archived day. */
async function createFromArchive(
  ctx: CliContext,
  event: string | undefined,
  { json, yes, fromArchive: day, ...options }: CreateOptions & { readonly fromArchive: string },
): Promise<void> {
  assertNoRemote(ctx, "--from-archive");
  const { source, type, subject, since, until, handler, again, rate, reason, id = newId() } = options;
  const filter = { source, type, subject, since, until, event };
  const how = { id, handler, again, rate, reason };
  const { created, restored, found } = await withStore(ctx, async (store) => {
    await assertHandler(operationsInStore(store, ctx), ctx, options);
    return replayFromArchive(ctx, store, { day, filter: given(filter), how: given(how), yes: yes ?? false });
  });
  if (json) return ctx.output.json({ created, restored, ...found });
  ctx.output.say(`${restored === 1 ? "1 event" : `${restored} events`} of ${day} brought back.`);
  ctx.output.result(created ? `replay ${found.id} created` : `replay ${found.id} was created before`);
  ctx.output.say(`See how far it is: ${ctx.penstock} replay status ${found.id}`);
}

/** Without what is undefined. */
const given = <T extends object>(options: T) =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]: Exclude<T[Key], undefined>;
  };

/** Options that say which; the others say how. */
const SAYS_WHICH = [
  "source",
  "type",
  "handler",
  "state",
  "since",
  "until",
  "subject",
  "quarantined",
  "fromArchive",
] as const;

function refuseOddOptions(ctx: CliContext, event: string | undefined, options: CreateOptions): void {
  const { state, missing, quarantined, handler, withBody, again, rate, all, fromArchive } = options;
  if (fromArchive !== undefined && (state ?? missing ?? quarantined ?? withBody) !== undefined) {
    throw new UsageError(
      "--from-archive brings events back that have no deliveries: --state, --missing, --quarantined and --with-body say nothing there.",
    );
  }
  if ([state, missing, quarantined].filter((one) => one !== undefined).length > 1) {
    throw new UsageError("--state, --missing and --quarantined say three different things: choose one.");
  }
  if (missing && handler === undefined) {
    throw new UsageError("--missing gives a handler what it never had: say which, by --handler.");
  }
  if (quarantined && handler !== undefined) {
    throw new UsageError("What leaves the quarantine is new to every handler: leave out --handler.");
  }
  if (withBody !== undefined) {
    if (event === undefined) throw new UsageError("--with-body is for one event: name it.");
    if (handler ?? state ?? missing ?? quarantined ?? again ?? rate) {
      throw new UsageError(
        "--with-body makes a new event, which every handler gets: only --id and --reason go with it.",
      );
    }
  }
  if (event === undefined && !all && !SAYS_WHICH.some((name) => options[name] !== undefined)) {
    throw new UsageError(
      `Name an event, say which by options (see \`${ctx.penstock} replay create --help\`), or --all for all that has ever been received.`,
    );
  }
}

function adviceToLook(ctx: CliContext, { missing, quarantined }: CreateOptions): string {
  if (quarantined)
    return `Look at them with \`${ctx.penstock} quarantine list\` and the same options without --quarantined`;
  if (missing) return `Look at them with \`${ctx.penstock} events list\`, by its --type, --since and the like`;
  return `Look at them with \`${ctx.penstock} deliveries list\` and the same options`;
}

async function explainNone(
  ctx: CliContext,
  operations: Operations,
  { handler, among }: WantedReplay,
  event: EventPointer | undefined,
): Promise<string> {
  const nothing = "Nothing matches, so there is no replay.";
  if (among === "quarantined") return `${nothing} See \`${ctx.penstock} quarantine list\`.`;
  if (among === "missing") {
    return `${nothing} Where ${printable(handler ?? "")} has a delivery already it is done again without --missing; which types it takes is in \`${ctx.penstock} handlers list\`.`;
  }
  if (event === undefined) {
    return `${nothing} Look at \`${ctx.penstock} deliveries list\` with the same options: what waits or runs is done anyway, what was skipped or cancelled is taken with --state, and what a handler never had with --missing.`;
  }
  const named = { event: `seq:${event.seq}`, ...(handler !== undefined && { handler }) };
  const rows = await operations.listDeliveries(named, { limit: 10 });
  const found = await findEvent(operations, named.event);
  if (found?.erased) {
    return `${nothing} The event was erased on ${found.erased.at.slice(0, 10)} by ${printable(found.erased.by)}: nothing of it is left to be run.`;
  }
  if (found?.quarantine) return `${nothing} The event is ${describeStatus(found)}: name no handler and no state.`;
  if (rows.length === 0) {
    return `${nothing} ${handler === undefined ? "No handler has" : `${printable(handler)} never had`} this event: it would get it with --handler and --missing.`;
  }
  const states = rows.map(({ subscriber, state }) => `${printable(subscriber)} is ${state}`).join(", ");
  return `${nothing} ${states}: what waits or runs is done anyway, and what was skipped or cancelled is taken with --state.`;
}

interface Asked {
  readonly wanted: WantedReplay;
  readonly pointer: EventPointer | undefined;
  readonly body?: NonNullable<NewReplay["body"]>;
}

async function toReplay(
  operations: Operations,
  ctx: CliContext,
  event: string | undefined,
  { id = newId(), missing, quarantined, withBody, since, until, ...options }: Omit<CreateOptions, "yes" | "json">,
): Promise<Asked> {
  if (withBody !== undefined) assertNoRemote(ctx, "--with-body");
  await assertHandler(operations, ctx, options);
  const pointer = event === undefined ? undefined : await findOneEvent(ctx, operations, event, options.source);
  const body =
    withBody === undefined || !pointer ? undefined : await readNewBody(operations, ctx, pointer, id, withBody);
  const among = missing ? "missing" : quarantined ? "quarantined" : undefined;
  const wanted: WantedReplay = {
    ...options,
    id,
    ...(event !== undefined && { event }),
    ...(since && { since: toTyped(since) }),
    ...(until && { until: toTyped(until) }),
    ...(among && { among }),
  };
  return { wanted, pointer, ...(body && { body }) };
}

async function assertHandler(
  operations: Operations,
  ctx: CliContext,
  { handler, again }: Pick<CreateOptions, "handler" | "again">,
): Promise<void> {
  if (handler === undefined) return;
  if (isEndpointId(handler)) {
    if ((await operations.findEndpoint(handler)) === undefined) throw new CliError(noEndpoint(ctx, handler));
    return;
  }
  const found = await operations.findHandler(handler);
  if (found === undefined) throw new CliError(noHandler(ctx, handler));
  if (again && found.kind !== "effect") {
    throw new UsageError(
      `--again does effects (ctx.once) again, and ${printable(handler)} is no effect handler: leave it out.`,
    );
  }
}

function registerStatus(replay: Command, ctx: CliContext): void {
  replay
    .command("status")
    .argument("[id]", "the replay's id; the newest ones without it")
    .summary("show how far a replay is, or the newest ones")
    .description("Shows how far a replay is: how many matched, were handed out and are done, and what became of them.")
    .addOption(
      new Option("--limit <n>", "how many at most, without an id").argParser(wholeNumber(1, 1_000)).default(20),
    )
    .option("--json", "print one JSON object per replay")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} replay status`)
    .action(async (id: string | undefined, { limit, json }: { limit: number; json?: true }) => {
      if (id === undefined) {
        const rows = await withOperations(ctx, ({ listReplays }) => listReplays({ limit }));
        if (json) return rows.forEach((row) => ctx.output.json(row));
        if (rows.length === 0) return ctx.output.say("No replay yet.");
        return ctx.output.result(formatReplayTable(rows, new Date()));
      }
      const found = await withOperations(ctx, ({ showReplay }) => showReplay(id));
      if (found === null) throw new CliError(unknown(ctx, id));
      if (json) return ctx.output.json(found);
      ctx.output.result(formatReplay(found, new Date()));
    });
}

function registerCancel(replay: Command, ctx: CliContext): void {
  replay
    .command("cancel")
    .argument("<id>", "the replay's id")
    .summary("end a replay before it is done")
    .description(
      "Ends a replay: it hands out no more, and what it had handed out and was not begun is as before. What runs is left alone; what was to be tried again is cancelled; what was done stays.",
    )
    .option("--json", "print one JSON object: how many deliveries are as before, and how many are cancelled")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} replay cancel fix-inbox`)
    .action(async (id: string, { json }: { json?: true }) => {
      const { cancelled, found } = await withOperations(ctx, async ({ cancelReplay, showReplay }) => ({
        cancelled: await cancelReplay(id),
        found: await showReplay(id),
      }));
      if (found === null) throw new CliError(unknown(ctx, id));
      if (cancelled === null)
        throw new CliError(`Replay ${printable(id)} is ${found.status}: there is nothing to cancel.`);
      if (json) return ctx.output.json({ id, ...cancelled });
      const running = found.states["running"] ?? 0;
      const counts = [
        `${cancelled.undone} not begun`,
        ...(cancelled.cancelled === 0 ? [] : [`${cancelled.cancelled} cancelled between two tries`]),
        ...(running === 0 ? [] : [`${running} still running`]),
        `${found.done - cancelled.cancelled} done`,
      ];
      ctx.output.result(`replay ${printable(id)} cancelled: ${counts.join(", ")}`);
    });
}

const unknown = (ctx: CliContext, id: string): string =>
  `There is no replay ${printable(id)}: see \`${ctx.penstock} replay status\`.`;

/** It stands in the id of an event that is made for it, and is typed by people. */
function replayId(text: string): string {
  if (/^[\w.-]{1,64}$/.test(text)) return text;
  throw new InvalidArgumentError("It must be 1 to 64 letters, digits, dots, dashes and underscores.");
}

const newId = (): string => randomBytes(4).toString("hex");
