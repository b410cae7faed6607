import { randomBytes } from "node:crypto";
import {
  cancelReplay,
  createReplay,
  type DeliveryStateName,
  listHandlers,
  listReplays,
  type NewReplay,
  showReplay,
  type Store,
} from "@penstock/store";
import { type Command, InvalidArgumentError, Option } from "commander";
import { type CliContext, PENSTOCK } from "../cli-context.ts";
import { CliError, UsageError } from "../cli-error.ts";
import { withStore } from "../database.ts";
import { addFilterOptions, type FilterOptions } from "../filter-options.ts";
import { printable } from "../output/printable.ts";
import { formatReplay, formatReplayTable } from "../output/replay-table.ts";
import { findOneEvent } from "../replay/find-one-event.ts";
import { readNewBody } from "../replay/new-body.ts";
import { wholeNumber } from "../whole-number.ts";
import { registerDryRun } from "./replay-dry-run.ts";

type CreateOptions = FilterOptions & {
  id?: string;
  missing?: true;
  quarantined?: true;
  again?: true;
  rate?: number;
  reason?: string;
  withBody?: string;
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
  addFilterOptions(replay.command("create"))
    .argument("[event]", "the event's id, or its seq; without it, all that match the options")
    .summary("begin a replay")
    .description(
      `Begins a replay of what had been received by now and matches. Takes deliveries that are ${REPLAYABLE.join(", ")}, and makes those that a handler lacks; what waits or runs is left alone, and counted as skipped. With --state only deliveries in that state; with --handler only to that handler. Events in quarantine are taken unless --handler or --state is given: those that are understood now leave it.`,
    )
    .option("--missing", "only where a handler has no delivery yet: attaches it to history")
    .option("--quarantined", "only events in quarantine")
    .option("--again", "do effects (ctx.once) again, too, and with new idempotency keys")
    .addOption(new Option("--rate <n>", "how many deliveries per second at most").argParser(wholeNumber(1, 100_000)))
    .option("--reason <text>", "why; handlers see it")
    .addOption(
      new Option("--id <id>", "an id of yours: to create the same replay again is then no error").argParser(replayId),
    )
    .option("--with-body <file>", "handle this body instead, as a new event that is marked as a replay of this one")
    .option("--yes", "really do it, where no event is named")
    .option("--json", "print one JSON object: the replay")
    .addHelpText(
      "after",
      `\nExamples:\n  ${PENSTOCK} replay create evt_7f3a9b2c --handler inbox\n  ${PENSTOCK} replay create --handler inbox --state dead --since 2h --yes\n  ${PENSTOCK} replay create --handler greetings --missing --since 2026-06-01 --rate 50 --yes`,
    )
    .action(async (event: string | undefined, { json, yes, ...options }: CreateOptions) => {
      refuseOddOptions(event, options, yes === true);
      const outcome = await withStore(ctx, async (store) => {
        const wanted = await toReplay(store, ctx, event, options);
        const created = await createReplay(store, wanted);
        if (created === "different") {
          throw new CliError(
            `There is another replay ${printable(wanted.id)}: it was created with other options. See \`${PENSTOCK} replay status ${printable(wanted.id)}\`, or choose another --id.`,
          );
        }
        return { created, replay: await showReplay(store, wanted.id) };
      });
      if (outcome.replay === null) throw new CliError("The replay is gone.");
      if (json) return ctx.output.json({ created: outcome.created === "new", ...outcome.replay });
      const { id } = outcome.replay;
      ctx.output.result(outcome.created === "new" ? `replay ${id} created` : `replay ${id} was created before`);
      ctx.output.say(`See how far it is: ${PENSTOCK} replay status ${id}`);
    });
}

function refuseOddOptions(event: string | undefined, options: CreateOptions, yes: boolean): void {
  const { state, missing, quarantined, handler, withBody, again, rate } = options;
  if (state !== undefined && !REPLAYABLE.includes(state)) {
    throw new UsageError(`--state ${state}: what waits or runs is done anyway. Choose ${REPLAYABLE.join(", ")}.`);
  }
  if ([state, missing, quarantined].filter((one) => one !== undefined).length > 1) {
    throw new UsageError("--state, --missing and --quarantined say three different things: choose one.");
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
  if (event !== undefined || yes) return;
  const asks = Object.keys(options).some((name) => !["id", "reason", "rate", "again"].includes(name));
  throw new UsageError(
    asks
      ? "This takes all that match: look at them with `deliveries list` or `events list` and the same options, then add --yes."
      : `Name an event, or say which deliveries by options: see \`${PENSTOCK} replay create --help\`.`,
  );
}

async function toReplay(
  store: Store,
  ctx: CliContext,
  event: string | undefined,
  { id = newId(), missing, quarantined, withBody, ...options }: Omit<CreateOptions, "yes" | "json">,
): Promise<NewReplay> {
  const { handler, source, since, until } = options;
  if (handler !== undefined && !(await listHandlers(store)).some(({ name }) => name === handler)) {
    throw new CliError(
      `There is no handler ${printable(handler)}: see \`${PENSTOCK} handlers list\`. Workers register theirs when they start.`,
    );
  }
  const pointer = event === undefined ? undefined : await findOneEvent(store, event, source);
  const body = withBody === undefined || !pointer ? undefined : await readNewBody(store, ctx, pointer, id, withBody);
  const among = missing ? "missing" : quarantined ? "quarantined" : undefined;
  return {
    ...options,
    id,
    ...(pointer && { event: pointer }),
    ...(among && { among }),
    ...(body && { body }),
    request: {
      ...options,
      ...(event !== undefined && { event }),
      ...(among && { [among]: true }),
      // How long ago is another time each time that it is asked.
      ...(since && { since: since.typed }),
      ...(until && { until: until.typed }),
      ...(body && { bodySha256: body.event.bodyHash }),
    },
  };
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
    .addHelpText("after", `\nExample:\n  ${PENSTOCK} replay status`)
    .action(async (id: string | undefined, { limit, json }: { limit: number; json?: true }) => {
      if (id === undefined) {
        const rows = await withStore(ctx, (store) => listReplays(store, { limit }));
        if (json) return rows.forEach((row) => ctx.output.json(row));
        if (rows.length === 0) return ctx.output.say("No replay yet.");
        return ctx.output.result(formatReplayTable(rows, new Date()));
      }
      const found = await withStore(ctx, (store) => showReplay(store, id));
      if (found === null) throw new CliError(unknown(id));
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
    .addHelpText("after", `\nExample:\n  ${PENSTOCK} replay cancel fix-inbox`)
    .action(async (id: string, { json }: { json?: true }) => {
      const { cancelled, found } = await withStore(ctx, async (store) => ({
        cancelled: await cancelReplay(store, id),
        found: await showReplay(store, id),
      }));
      if (found === null) throw new CliError(unknown(id));
      if (cancelled === null)
        throw new CliError(`Replay ${printable(id)} is ${found.status}: there is nothing to cancel.`);
      if (json) return ctx.output.json({ id, ...cancelled });
      ctx.output.result(`replay ${printable(id)} cancelled: ${cancelled.undone} not begun, ${found.done} done`);
    });
}

const unknown = (id: string): string => `There is no replay ${printable(id)}: see \`${PENSTOCK} replay status\`.`;

/** It stands in the id of an event that is made for it, and is typed by people. */
function replayId(text: string): string {
  if (/^[\w.-]{1,64}$/.test(text)) return text;
  throw new InvalidArgumentError("It must be 1 to 64 letters, digits, dots, dashes and underscores.");
}

const newId = (): string => randomBytes(4).toString("hex");
