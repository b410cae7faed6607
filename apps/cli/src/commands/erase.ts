import { setTimeout as delay } from "node:timers/promises";
import { parseQuery } from "@penstock/schemas/search";
import { type ErasedValue, type ErasureRow, isAnywhere, LEAST_CHARACTERS } from "@penstock/store";
import type { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliError, UsageError } from "../cli-error.ts";
import { type Operations, withOperations } from "../operations/with-operations.ts";
import { formatErasure, formatErasurePlan, formatErasureTable } from "../output/erasure.ts";
import { printable } from "../output/printable.ts";
import { wholeNumber } from "../whole-number.ts";

interface EraseOptions {
  subject?: string[];
  value?: string[];
  where?: string[];
  yes?: true;
  detach?: true;
  json?: true;
}

const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

export function registerErase(program: Command, ctx: CliContext): void {
  const erase = program
    .command("erase")
    .summary("erase what is held of a person; shows a plan first")
    .description(
      "Overwrites all that Penstock holds of a person: bodies, headers and subjects of events, texts of errors, results of effects, refused requests, and what handlers keep, where they can erase. Several options mean: whatever has one of these. Without --yes, it only shows what would be overwritten. With --yes, workers do it, and it cannot be undone.",
    )
    .option(
      "--subject <id>",
      "the id of a contact, conversation or the like; also wherever it stands in a body",
      collect,
    )
    .option("--value <text>", "a text wherever it stands, e.g. a phone number or an address", collect)
    .option("--where <path=value>", "a value at a path of the body, e.g. data.phone=+393331234567", collect)
    .option("--yes", "really do it; without it, what would be overwritten is shown")
    .option("--detach", "do not wait until workers are done")
    .option("--json", "print one JSON object: the plan, or the erasure")
    .addHelpText(
      "after",
      `\nExamples:\n  ${ctx.penstock} erase --subject cnt_1\n  ${ctx.penstock} erase --subject cnt_1 --value +393331234567 --value ada@example.com --yes\n  ${ctx.penstock} erase status 1`,
    )
    .action(async ({ yes, detach, json, ...options }: EraseOptions) => {
      const wanted = toWanted(options);
      for (const one of wanted) {
        if (one.kind === "subject" && !isAnywhere(one)) {
          ctx.output.say(
            `${printable(one.value)} is too short to be looked for wherever it stands: events are found by their subjects alone.`,
          );
        }
      }
      await withOperations(ctx, async (operations) => {
        const plan = await operations.planErasure(wanted);
        if (yes !== true) {
          if (json) return ctx.output.json(plan);
          ctx.output.result(formatErasurePlan(plan));
          return ctx.output.say("Nothing was changed. Add --yes to erase this for good.");
        }
        if (!json) ctx.output.say(formatErasurePlan(plan));
        const id = await operations.createErasure(wanted);
        const ended = detach ? await operations.showErasure(id) : await follow(ctx, operations, id);
        if (ended === null) throw new CliError("The erasure is gone.");
        if (json) return ctx.output.json(ended);
        ctx.output.result(formatErasure(ended));
        if (ended.endedAt === null) ctx.output.say(`Workers go on with it: ${ctx.penstock} erase status ${id}`);
      });
    });

  erase
    .command("status")
    .argument("[number]", "of the erasure; without it, the last ones are listed", wholeNumber(1, 2_147_483_647))
    .summary("how far an erasure is")
    .description("Shows how far an erasure is, or lists the last ones. What was erased is told by none of them.")
    .option("--json", "print one JSON object per erasure")
    .action(async (id: number | undefined, { json }: { json?: true }) => {
      const found = await withOperations(ctx, async ({ listErasures, showErasure }) => {
        if (id === undefined) return listErasures();
        const one = await showErasure(id);
        if (one === null) throw new CliError(`There is no erasure ${id}. See \`${ctx.penstock} erase status\`.`);
        return [one];
      });
      if (json) return found.forEach((one) => ctx.output.json(one));
      if (found.length === 0) return ctx.output.say("Nothing has been erased yet.");
      const [first] = found;
      ctx.output.result(id === undefined || first === undefined ? formatErasureTable(found) : formatErasure(first));
    });
}

function toWanted({ subject = [], value = [], where = [] }: EraseOptions): ErasedValue[] {
  const short = value.find((one) => one.length < LEAST_CHARACTERS);
  if (short !== undefined) {
    throw new UsageError(
      `--value ${printable(short)} would stand in much that is about others: give at least ${LEAST_CHARACTERS} characters, or say where it stands by --where.`,
    );
  }
  const wanted: ErasedValue[] = [
    ...subject.map((one) => ({ kind: "subject" as const, value: one })),
    ...value.map((one) => ({ kind: "value" as const, value: one })),
    ...where.map(readWhere),
  ];
  if (wanted.length === 0) throw new UsageError("Who is to be erased? Say it by --subject, --value or --where.");
  if (wanted.some((one) => one.value.trim() === "")) throw new UsageError("A value is empty: say whom to erase.");
  return wanted;
}

function readWhere(text: string): ErasedValue {
  const at = text.indexOf("=");
  const parsed = parseQuery(at === -1 ? text : `${text.slice(0, at)}=${JSON.stringify(text.slice(at + 1))}`);
  const [term] = parsed.ok ? parsed.terms : [];
  if (term?.kind === "body" && !term.not) return { kind: "where", path: term.path, value: term.value };
  throw new UsageError(
    `--where ${printable(text)}: give a path of the body and its value, e.g. data.phone=+393331234567.`,
  );
}

const LOOK_EVERY_MS = 500;
/** By then a worker would have begun. */
const NO_WORKER_MS = 10_000;

/** Waits until an erasure is done; Ctrl-C leaves it to workers. */
async function follow(ctx: CliContext, { showErasure }: Operations, id: number): Promise<ErasureRow | null> {
  const began = performance.now();
  let told = "";
  for (;;) {
    const found = await showErasure(id);
    if (found === null || found.endedAt !== null || ctx.stop.aborted) return found;
    const isUntouched = found.step === "events" && found.waitsFor === null && Object.keys(found.counts).length === 0;
    const says =
      found.waitsFor !== null
        ? `It waits for ${printable(found.waitsFor)}.`
        : isUntouched && performance.now() - began > NO_WORKER_MS
          ? `No worker has begun yet: start one, e.g. by \`npm start\`. Ctrl-C leaves the erasure to it.`
          : "";
    if (says !== "" && says !== told) ctx.output.say(says);
    told = says;
    await delay(LOOK_EVERY_MS, undefined, { signal: ctx.stop }).catch(() => undefined);
  }
}
