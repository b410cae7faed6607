import { DELIVERY_STATES, type DeliveryFilter } from "@penstock/store";
import { type Command, InvalidArgumentError, Option } from "commander";

const UNITS: Readonly<Record<string, number>> = { s: 1_000, min: 60_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A moment: an ISO date or time, or how long ago, e.g. `2h` or `3d`. */
function moment(text: string): Date {
  const [, count = "", unit = ""] = /^(\d{1,6}) ?(s|min|m|h|d)$/.exec(text) ?? [];
  const ms = UNITS[unit];
  if (ms !== undefined) return new Date(Date.now() - Number(count) * ms);
  const date = new Date(text);
  if (/^\d{4}-\d{2}-\d{2}/.test(text) && !Number.isNaN(date.getTime())) return date;
  throw new InvalidArgumentError(
    "It must be a time such as 2026-06-01 or 2026-06-01T14:32:00Z, or how long ago: 30min, 2h, 3d.",
  );
}

/** Adds the options that say which deliveries are meant; the same ones wherever deliveries are listed or changed. */
export function addFilterOptions(command: Command): Command {
  return command
    .option("--source <source>", "only of events of this source, e.g. buzzbip")
    .option("--type <type>", "only of events of this type, e.g. message.received")
    .option("--handler <name>", "only of this handler")
    .addOption(new Option("--state <state>", "only in this state").choices(DELIVERY_STATES))
    .addOption(
      new Option("--since <time>", "only of events received since: a time, or how long ago, e.g. 2h").argParser(moment),
    )
    .addOption(new Option("--until <time>", "only of events received before").argParser(moment))
    .option("--subject <id>", "only of events about this contact, conversation, message or workflow");
}

/** What these options ask for. */
export type FilterOptions = Omit<DeliveryFilter, "event">;
