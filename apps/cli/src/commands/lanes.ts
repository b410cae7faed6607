import { LANE_COUNT_LIMIT, type LaneFilter, type LaneRow, type LaneState } from "@penstock/store";
import { type Command, Option } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliError } from "../cli-error.ts";
import { explainNoMatch } from "../no-match.ts";
import { type Operations, withOperations } from "../operations/with-operations.ts";
import { formatLaneTable, nameHead } from "../output/lane-table.ts";
import { printable } from "../output/printable.ts";
import { wholeNumber } from "../whole-number.ts";

const STATES: readonly LaneState[] = ["running", "blocked", "waiting"];

export function registerLanes(program: Command, ctx: CliContext): void {
  const lanes = program
    .command("lanes")
    .summary("events that are handled in order, and what blocks them")
    .description(
      "Shows and unblocks lanes. A lane is what a handler handles in order, one event at a time, e.g. a conversation.",
    );

  lanes
    .command("list")
    .summary("list the lanes in which something waits or runs")
    .description(
      `Lists the lanes in which something waits or runs, by handler and lane. The head is the delivery that runs or has to be done first; a lane is blocked when its head has failed. What waits behind it is counted up to ${LANE_COUNT_LIMIT}.`,
    )
    .option("--handler <name>", "only of this handler, or of the endpoint with this id")
    .addOption(new Option("--state <state>", "only in this state").choices(STATES))
    .addOption(new Option("--limit <n>", "how many at most").argParser(wholeNumber(1, 10_000)).default(20))
    .option("--json", "print one JSON object per lane")
    .addHelpText("after", `\nExamples:\n  ${ctx.penstock} lanes list\n  ${ctx.penstock} lanes list --state blocked`)
    .action(async ({ json, limit, ...filter }: LaneFilter & { limit: number; json?: true }) => {
      const { rows, why } = await withOperations(ctx, async (operations) => {
        const rows = await operations.listLanes(filter, limit);
        const none = `No lane${filter.handler === undefined && filter.state === undefined ? "" : " that matches"} has anything that waits or runs.`;
        return { rows, why: rows.length === 0 ? await explainNoMatch(ctx, operations, filter, none) : "" };
      });
      if (json) return rows.forEach((row) => ctx.output.json(row));
      if (rows.length === 0) return ctx.output.say(why);
      ctx.output.result(formatLaneTable(rows, new Date()));
    });

  lanes
    .command("unblock")
    .argument("<handler>", "the handler's name")
    .argument("<lane>", "the lane, as `lanes list` shows it")
    .summary("skip the dead letter that blocks a lane")
    .description(
      "Skips the dead letter that blocks a lane: it counts as done without having been handled, and what waits behind it goes on. To have it handled after all, use `deliveries retry`.",
    )
    .option("--json", "print one JSON object: what was skipped")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} lanes unblock inbox cnv_5c21`)
    .action(async (handler: string, lane: string, { json }: { json?: true }) => {
      const skipped = await withOperations(ctx, (operations) => unblock(ctx, operations, handler, lane));
      if (json) return ctx.output.json(skipped);
      const next = skipped.waiting === 0 ? "nothing waits behind it" : `${countWaiting(skipped)} waiting behind it`;
      ctx.output.result(`skipped ${nameHead(skipped)}, the lane goes on: ${next}`);
    });
}

async function unblock(ctx: CliContext, operations: Operations, handler: string, lane: string): Promise<LaneRow> {
  const name = `lane ${printable(lane)} of ${printable(handler)}`;
  const found = await operations.unblockLane({ handler, lane });
  if (found.outcome === "empty") {
    const nothing = `Nothing waits or runs in ${name}: see \`${ctx.penstock} lanes list\`.`;
    throw new CliError(await explainNoMatch(ctx, operations, { handler }, nothing));
  }
  if (found.outcome === "changed")
    throw new CliError(`${name} has just changed, nothing was skipped: look at it again.`);
  if (found.outcome === "skipped") return found.lane;
  const { head } = found.lane;
  const refusal = `${name} is not blocked by a dead letter: its head is ${nameHead(found.lane)}, which is ${head.state}.`;
  const command = `${ctx.penstock} deliveries skip ${head.seq} --handler ${printable(handler)}`;
  throw new CliError(`${refusal}${head.state === "running" ? "" : ` To skip that: \`${command}\`.`}`);
}

function countWaiting({ waiting }: LaneRow): string {
  return waiting === LANE_COUNT_LIMIT ? `${waiting} or more` : String(waiting);
}
