import { wallClockMs } from "@penstock/schemas";
import { REFUSED_KEPT, type RefusedRow } from "@penstock/store";
import { type Command, Option } from "commander";
import type { CliContext } from "../cli-context.ts";
import { withOperations } from "../operations/with-operations.ts";
import { formatColumns } from "../output/columns.ts";
import { formatAge } from "../output/duration.ts";
import { printable } from "../output/printable.ts";
import { wholeNumber } from "../whole-number.ts";

export function registerRefused(sources: Command, ctx: CliContext): void {
  sources
    .command("refused")
    .argument("[name]", "the source's name; all of them without it")
    .summary("list the last requests that were refused, and why")
    .description(
      `Lists the last requests that ingest refused, the newest first, each with the reason that \`sources verify\` would find. Of each source the last ${REFUSED_KEPT} are kept, and of a flood a few. Of a request are kept the headers that its source asks for, and the hash of its body.`,
    )
    .addOption(new Option("--limit <n>", "how many at most").argParser(wholeNumber(1, 1_000)).default(10))
    .option("--json", "print one JSON object per request")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} sources refused acme`)
    .action(async (source: string | undefined, { limit, json }: { limit: number; json?: true }) => {
      const which = { limit, ...(source !== undefined && { source }) };
      const rows = await withOperations(ctx, async ({ assertSource, listRefused }) => {
        if (source !== undefined) await assertSource(source);
        return listRefused(which);
      });
      if (json) return rows.forEach((row) => ctx.output.json(row));
      if (rows.length === 0) return ctx.output.say("No refused request is on record.");
      ctx.output.result(rows.map((row) => describeRefused(row, wallClockMs())).join("\n\n"));
    });

  sources
    .command("activity")
    .summary("when each source last sent something")
    .description(
      "Tells for each source when its last event was accepted and its last request refused, within seconds, and how many were refused in all.",
    )
    .option("--json", "print one JSON object per source")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} sources activity`)
    .action(async ({ json }: { json?: true }) => {
      const rows = await withOperations(ctx, ({ listActivity }) => listActivity());
      if (json) return rows.forEach((row) => ctx.output.json(row));
      const ago = (at: Date | null): string =>
        at === null ? "never" : `${formatAge(wallClockMs() - at.getTime())} ago`;
      const table = rows.map(({ source, lastEventAt, lastRefusedAt, refused }) => [
        source,
        ago(lastEventAt),
        ago(lastRefusedAt),
        String(refused),
      ]);
      ctx.output.result(formatColumns([["NAME", "LAST EVENT", "LAST REFUSED", "REFUSED"], ...table]));
    });
}

function describeRefused(row: RefusedRow, now: number): string {
  const { at, source, status, reason, method, path, address, bodyBytes, leftOut, headers, findings } = row;
  const body = bodyBytes === null ? "body not read" : `body ${bodyBytes} B`;
  const head = `${formatAge(now - at.getTime())} ago  ${source}  ${status} ${reason}  ${method} ${path}  from ${address}  ${body}`;
  const more = leftOut === 0 ? [] : [`  and ${leftOut} others of ${source} were refused before it`];
  const sent = Object.entries(headers).map(([name, value]) => `  ${name}: ${value}`);
  return [head, ...findings.map((finding) => `  - ${finding}`), ...sent, ...more]
    .map((line) => printable(line))
    .join("\n");
}
