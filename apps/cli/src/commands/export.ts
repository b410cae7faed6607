import { toLines } from "@penstock/archive";
import type { Term } from "@penstock/schemas/search";
import { type ArchivedEvent, readMatching } from "@penstock/store";
import type { Command } from "commander";
import { writeLinesTo } from "../archive/write-file.ts";
import type { CliContext } from "../cli-context.ts";
import { UsageError } from "../cli-error.ts";
import { withStore } from "../database.ts";
import { readQuery } from "../read-query.ts";

interface ExportOptions {
  subject?: string;
  where?: string;
  all?: true;
  output?: string;
}

export function registerExport(program: Command, ctx: CliContext): void {
  program
    .command("export")
    .summary("write events to a file, in the format of the archive")
    .description(
      "Writes the events that match as lines of JSON, the newest first: a header, an event each with its exact body, and a count. `penstock import` takes the file. What waits for a worker is left out.",
    )
    .option("--where <query>", "which ones, in the language of `events list` and the console")
    .option("--subject <id>", "all that is held of a person: about this contact or the like, or with this id in it")
    .option("--all", "all that are stored")
    .option("--output <file>", "to this file, compressed where it ends in .gz; to standard output unless given")
    .addHelpText(
      "after",
      `\nExamples:\n  ${ctx.penstock} export --where 'type:message.* state:dead age<2h' --output dead.ndjson.gz\n  npm run --silent penstock -- export --where 'data.contactId=cnt_1' | jq .body`,
    )
    .action(async ({ where, subject, all, output }: ExportOptions) => {
      if (where === undefined && subject === undefined && all === undefined) {
        throw new UsageError("Say which events, by --where or --subject, or --all for all that are stored.");
      }
      const terms = readQuery(where ?? "");
      const ofSubject = (value: string, not: boolean): Term => ({
        kind: "field",
        key: "subject",
        value,
        prefix: false,
        not,
      });
      const queries: readonly (readonly Term[])[] =
        subject === undefined
          ? [terms]
          : [
              [...terms, ofSubject(subject, false)],
              [...terms, ofSubject(subject, true), { kind: "text", text: subject, not: false }],
            ];
      let events = 0;
      await withStore(ctx, (store) => {
        const counted = (async function* (): AsyncGenerator<ArchivedEvent> {
          for (const query of queries) {
            for await (const event of readMatching(store, query)) {
              // Nothing is left of it that anybody could be given.
              if (event.problem === "erased") continue;
              events++;
              yield event;
            }
          }
        })();
        const query = where === undefined ? {} : { query: where };
        return writeLinesTo(ctx, output, toLines({ penstock: "events", version: 1, ...query }, counted));
      });
      ctx.output.say(
        `${events === 1 ? "1 event" : `${events} events`} exported${output === undefined ? "" : ` to ${output}`}.`,
      );
    });
}
