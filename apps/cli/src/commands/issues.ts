import { ISSUE_KINDS, ISSUE_STATES, type IssueKind, type IssueState } from "@penstock/schemas";
import { ISSUE_CHANGES, type IssueChange, type IssueDetail } from "@penstock/store";
import { type Command, Option } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliError, UsageError } from "../cli-error.ts";
import type { WantedIssues } from "../operations/issues.ts";
import { type Operations, withOperations } from "../operations/with-operations.ts";
import { formatIssue, formatIssueTable } from "../output/issue-table.ts";
import { describeReplayCount } from "../output/replay-count.ts";
import { wholeNumber } from "../whole-number.ts";

interface ListOptions {
  readonly state?: IssueState;
  readonly all?: true;
  readonly kind?: IssueKind;
  readonly handler?: string;
  readonly source?: string;
  readonly limit: number;
  readonly json?: true;
}

const SUMMARIES: Readonly<Record<IssueChange, { readonly summary: string; readonly description: string }>> = {
  acknowledge: {
    summary: "say that somebody looks at it",
    description: "Says that somebody looks at an issue: it is listed as acknowledged, and goes on being counted.",
  },
  resolve: {
    summary: "say that its cause is mended",
    description: "Says that the cause of an issue is mended. It opens again, and is told again, when it comes back.",
  },
  ignore: {
    summary: "hear of it no more",
    description: "Has an issue counted, but neither listed nor told any more, also when it comes back.",
  },
  reopen: { summary: "have it open again", description: "Has an issue that was settled, or is ignored, open again." },
};

export function registerIssues(program: Command, ctx: CliContext): void {
  const issues = program
    .command("issues")
    .summary("what needs a person: failures that have the same cause, as one")
    .description(
      "Shows and settles issues. An issue is what needs a person: dead letters with one error, events in quarantine for one reason, an endpoint that is down, lanes that are blocked. Workers find them.",
    );

  issues
    .command("list")
    .summary("list what needs a person, the newest first")
    .description("Lists the issues that are open or acknowledged, those that occurred last first.")
    .addOption(new Option("--state <state>", "only in this state").choices(ISSUE_STATES).conflicts("all"))
    .option("--all", "those that are resolved or ignored, too")
    .addOption(new Option("--kind <kind>", "only of this kind").choices(ISSUE_KINDS))
    .option("--handler <name>", "only of this handler, or of the endpoint with this id")
    .addOption(new Option("--source <source>", "only of this source").conflicts("handler"))
    .addOption(new Option("--limit <n>", "how many at most").argParser(wholeNumber(1, 1_000)).default(20))
    .option("--json", "print one JSON object per issue")
    .addHelpText(
      "after",
      `\nExamples:\n  ${ctx.penstock} issues list\n  ${ctx.penstock} issues list --handler inbox --all`,
    )
    .action(async ({ state, all, kind, handler, source, limit, json }: ListOptions) => {
      const subject = handler ?? source;
      const wanted: WantedIssues = {
        state: state ?? (all ? "all" : "unsettled"),
        ...(kind !== undefined && { kind }),
        ...(subject !== undefined && { subject }),
      };
      const rows = await withOperations(ctx, ({ listIssues }) => listIssues(wanted, { limit }));
      if (json) return rows.forEach((row) => ctx.output.json(row));
      if (rows.length === 0) {
        const isAll = state === undefined && kind === undefined && subject === undefined;
        return ctx.output.say(isAll && !all ? "Nothing needs a person." : "No issue matches.");
      }
      ctx.output.result(formatIssueTable(rows, new Date()));
    });

  issues
    .command("show")
    .argument("<issue>", "its number", wholeNumber(1, 2_147_483_647))
    .summary("show all of an issue, and what to do about it")
    .description("Shows all of an issue: since when, how often and when, an example, what is left of it, what to do.")
    .option("--json", "print one JSON object")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} issues show 7`)
    .action(async (id: number, { json }: { json?: true }) => {
      const issue = await withOperations(ctx, (operations) => findIssue(ctx, operations, id));
      if (json) return ctx.output.json(issue);
      ctx.output.result(formatIssue(ctx, issue, new Date()));
    });

  for (const change of ["acknowledge", "resolve", "ignore", "reopen"] as const) registerChange(issues, ctx, change);
  registerRetry(issues, ctx);
}

function registerChange(issues: Command, ctx: CliContext, change: IssueChange): void {
  const { summary, description } = SUMMARIES[change];
  issues
    .command(change)
    .argument("<issue>", "its number", wholeNumber(1, 2_147_483_647))
    .summary(summary)
    .description(description)
    .option("--note <text>", "why, for others")
    .option("--json", "print one JSON object: the issue")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} issues ${change} 7`)
    .action(async (id: number, { note, json }: { note?: string; json?: true }) => {
      const issue = await withOperations(ctx, async (operations) => {
        const changed = await operations.changeIssue(id, change, note === undefined ? {} : { note });
        const found = await findIssue(ctx, operations, id);
        if (changed) return found;
        const from = ISSUE_CHANGES[change].from.join(" or ");
        throw new CliError(`Issue ${id} is ${found.state}: ${change} takes one that is ${from}.`);
      });
      if (json) return ctx.output.json(issue);
      ctx.output.result(`issue ${id} is ${issue.state}`);
    });
}

/** What to do about an issue of which nothing can be run again. */
const INSTEAD: Readonly<Partial<Record<IssueKind, string>>> = {
  "failing-endpoint": "endpoints recover",
  "blocked-lane": "lanes unblock",
  refused: "sources verify",
};

function registerRetry(issues: Command, ctx: CliContext): void {
  issues
    .command("retry")
    .argument("<issue>", "its number", wholeNumber(1, 2_147_483_647))
    .summary("have all that is left of it run again")
    .description(
      "Has all that is left of an issue run again: its dead letters, or its events in quarantine. Tells how many first; with --yes it begins. It is a replay, which workers run page by page: `replay status` tells how far it is, and `replay cancel` puts back what was not begun.",
    )
    .option("--yes", "really do it")
    .option("--json", "print one JSON object: the replay's id, and how many match")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} issues retry 7 --yes`)
    .action(async (id: number, { yes, json }: { yes?: true; json?: true }) => {
      const { count, replay, matching } = await withOperations(ctx, async (operations) => {
        const issue = await findIssue(ctx, operations, id);
        const count = await operations.countIssueRetry(issue);
        if (count === "not-retryable") {
          const instead = INSTEAD[issue.kind];
          const advice = instead === undefined ? "" : ` See \`${ctx.penstock} ${instead} --help\`.`;
          throw new CliError(`Nothing of issue ${id} can be run again: it is a ${issue.kind}.${advice}`);
        }
        if (count?.total === 0) throw new CliError(`Nothing is left of issue ${id}: there is nothing to run again.`);
        const matching = describeReplayCount(count, {}, new Date());
        if (!yes) throw new UsageError(`${matching} To run them again, add --yes.`);
        return { count, matching, replay: await operations.retryIssue(issue) };
      });
      if (json) return ctx.output.json({ issue: id, replay, matches: count?.total ?? null });
      ctx.output.say(matching);
      ctx.output.result(`replay ${replay} created`);
      ctx.output.say(
        `See how far it is: ${ctx.penstock} replay status ${replay}\nPut back what was not begun: ${ctx.penstock} replay cancel ${replay}`,
      );
    });
}

async function findIssue(ctx: CliContext, { showIssue }: Operations, id: number): Promise<IssueDetail> {
  const issue = await showIssue(id);
  if (issue === null) throw new CliError(`There is no issue ${id}: see \`${ctx.penstock} issues list --all\`.`);
  return issue;
}
