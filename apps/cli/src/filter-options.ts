import { parseDuration, parseMoment } from "@penstock/schemas";
import { DELIVERY_STATES, type DeliveryFilter, type DeliveryStateName } from "@penstock/store";
import { type Command, InvalidArgumentError, Option } from "commander";
import { wholeNumber } from "./whole-number.ts";

/** A time, with what was typed for it: `2h` is another time each time that it is typed. */
export class Moment extends Date {
  readonly typed: string;

  constructor(time: Date, typed: string) {
    super(time);
    this.typed = typed;
  }
}

/** A moment: an ISO date or time, or how long ago, e.g. `2h` or `3d`. */
export function moment(text: string): Moment {
  const time = parseMoment(text);
  if (time !== null) return new Moment(time, text);
  throw new InvalidArgumentError(
    "It must be a time such as 2026-06-01 or 2026-06-01T14:32:00Z, or how long ago: 30min, 2h, 3d.",
  );
}

/** What was typed, where it means the same on any machine: how long ago, or else the time. */
export const toTyped = (moment: Moment): string =>
  parseDuration(moment.typed) === undefined ? moment.toISOString() : moment.typed;

/**
 * Adds the options that say which events or deliveries are meant; the same ones wherever some are listed or changed, but for
 * the states that make sense there.
 */
export function addFilterOptions(command: Command, states: readonly DeliveryStateName[] = DELIVERY_STATES): Command {
  command
    .option("--source <source>", "only of events of this source")
    .option("--type <type>", "only of events of this type, e.g. message.received")
    .option("--handler <name>", "only of this handler, or of the endpoint with this id");
  if (states.length > 0) command.addOption(new Option("--state <state>", "only in this state").choices(states));
  return command
    .addOption(
      new Option("--since <time>", "only of events received since: a time, or how long ago, e.g. 2h").argParser(moment),
    )
    .addOption(new Option("--until <time>", "only of events received before").argParser(moment))
    .option("--subject <id>", "only of events about this contact, conversation, message or workflow");
}

/** Adds the options of a list: which, and how many. */
export function addListOptions(command: Command, what: string, states?: readonly DeliveryStateName[]): Command {
  return addFilterOptions(command, states)
    .addOption(new Option("--limit <n>", "how many at most").argParser(wholeNumber(1, 10_000)).default(20))
    .option("--json", `print one JSON object per ${what}`);
}

/** What these options ask for. */
export type FilterOptions = Omit<DeliveryFilter, "event" | "since" | "until"> & {
  readonly since?: Moment;
  readonly until?: Moment;
};

export type ListOptions = FilterOptions & { limit: number; json?: true };
