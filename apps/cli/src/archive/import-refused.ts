import { type NewEvent, readRefusedFile, toNewEvent } from "@penstock/intake";
import { wallClockMs } from "@penstock/schemas";
import type { ImportedFile } from "./import-events.ts";
import { CliError } from "../cli-error.ts";

/** The signed requests that ingest kept in a file while Postgres was away (docs/outages.md). What cannot be read is told and left out. */
export async function* importRefused({ path, windowDays, say }: ImportedFile): AsyncGenerator<NewEvent> {
  if (path === null) throw new CliError("A file of refused requests is read by its name, not from standard input.");
  for await (const line of readRefusedFile(path)) {
    if (line.ok) yield toNewEvent(line.refused.event, windowDays, wallClockMs());
    else say(`Line ${line.line} cannot be read (${line.reason}) and is left out.`);
  }
}
