import { isEndpointId, wallClockMs } from "@penstock/schemas";
import type { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliError, UsageError } from "../cli-error.ts";
import { noHandler } from "../no-match.ts";
import { WAITING_COUNTED, WAITING_STATES } from "../operations/handlers.ts";
import { withOperations } from "../operations/with-operations.ts";
import { formatColumns } from "../output/columns.ts";
import { formatAge } from "../output/duration.ts";
import { printable } from "../output/printable.ts";

export function registerHandlers(program: Command, ctx: CliContext): void {
  const handlers = program
    .command("handlers")
    .summary("which handlers events wait for")
    .description("Shows, pauses and forgets the handlers that workers have registered.");

  handlers
    .command("list")
    .summary("list the registered handlers")
    .description(
      `Lists the handlers that workers have registered, and how many deliveries of each wait, run or are dead, counted up to ${WAITING_COUNTED} of each. Each event that is accepted after a handler was registered is kept for it, whichever worker processes it, where any worker's version of the handler subscribes to its type.`,
    )
    .option("--json", "print one JSON object per handler")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} handlers list`)
    .action(async ({ json }: { json?: true }) => {
      const rows = await withOperations(ctx, ({ listHandlers }) => listHandlers());
      if (json) return rows.forEach((row) => ctx.output.json(row));
      if (rows.length === 0) return ctx.output.say("No worker has registered a handler yet.");
      const now = wallClockMs();
      const table = rows.map(({ name, kind, types, registeredAt, seenAt, pausedAt, deliveries }) => [
        printable(name),
        kind,
        pausedAt === null ? "active" : `paused ${formatAge(now - pausedAt.getTime())}`,
        ...WAITING_STATES.map((state) => formatCount(deliveries[state])),
        registeredAt === null ? "not yet" : `${formatAge(now - registeredAt.getTime())} ago`,
        `${formatAge(now - seenAt.getTime())} ago`,
        types.map((type) => printable(type)).join(" "),
      ]);
      const states = WAITING_STATES.map((state) => state.toUpperCase());
      ctx.output.result(
        formatColumns([["NAME", "KIND", "STATUS", ...states, "REGISTERED", "SEEN", "TYPES"], ...table]),
      );
    });

  registerPause(handlers, ctx, "pause");
  registerPause(handlers, ctx, "resume");

  handlers
    .command("remove")
    .argument("<name>", "the handler's name")
    .summary("forget a handler that is gone for good")
    .description(
      "Forgets a handler whose code is gone for good: new events no longer wait for it. What it has done stays. A worker that still has it registers it again when it starts.",
    )
    .option("--yes", "really do it")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} handlers remove inbox --yes`)
    .action(async (name: string, { yes }: { yes?: true }) => {
      assertNoEndpoint(ctx, name, "delete");
      if (!yes)
        throw new UsageError(`Events would no longer wait for handler ${printable(name)}: add --yes to remove it.`);
      const removed = await withOperations(ctx, ({ removeHandler }) => removeHandler(name));
      if (!removed) throw new CliError(noHandler(ctx, name));
      ctx.output.result(`removed ${printable(name)}`);
    });
}

function registerPause(handlers: Command, ctx: CliContext, what: "pause" | "resume"): void {
  const paused = what === "pause";
  handlers
    .command(what)
    .argument("<name>", "the handler's name")
    .summary(paused ? "start nothing of a handler until it is resumed" : "let a paused handler go on")
    .description(
      paused
        ? "Pauses a handler on all workers: nothing of it is started any more, what runs ends, and its events are kept as pending deliveries. Other handlers go on."
        : "Lets a paused handler go on: it catches up on what has waited for it.",
    )
    .option("--json", "print one JSON object: whether that changed anything, and since when it is or was paused")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} handlers ${what} inbox`)
    .action(async (name: string, { json }: { json?: true }) => {
      assertNoEndpoint(ctx, name, what);
      const found = await withOperations(ctx, ({ pauseHandler }) => pauseHandler(name, paused));
      if (found === null) throw new CliError(noHandler(ctx, name));
      const { changed, since } = found;
      if (json) return ctx.output.json({ handler: name, paused, changed, since });
      const age = since === null ? "" : formatAge(wallClockMs() - since.getTime());
      if (changed) return ctx.output.result(`${paused ? "paused" : "resumed"} ${printable(name)}`);
      ctx.output.result(`${printable(name)} ${paused ? `was paused before, ${age} ago` : "is not paused"}`);
    });
}

/** @throws UsageError that names the command that is meant. */
function assertNoEndpoint(ctx: CliContext, name: string, command: string): void {
  if (!isEndpointId(name)) return;
  throw new UsageError(
    `${printable(name)} is an endpoint: use \`${ctx.penstock} endpoints ${command} ${printable(name)}\`.`,
  );
}

const formatCount = (count: number): string => (count > WAITING_COUNTED ? `${WAITING_COUNTED}+` : String(count));
