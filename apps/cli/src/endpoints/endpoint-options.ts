import {
  ALL_TYPES,
  ENDPOINT_DEFAULTS,
  type EndpointSettings,
  endpointSettingsSchema,
  OWN_EVENT_TYPES,
  parseDuration,
} from "@penstock/schemas";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { CliContext } from "../cli-context.ts";
import { UsageError } from "../cli-error.ts";
import { printable } from "../output/printable.ts";
import { readProjectSources } from "../project-config.ts";
import { wholeNumber } from "../whole-number.ts";

/** What the options of `endpoints add` and `update` ask for; what is left out stays as it is. */
export interface EndpointOptions {
  readonly types?: string[];
  readonly description?: string;
  readonly tenant?: string;
  readonly filter?: Record<string, string[]> | None;
  readonly lane?: string;
  readonly headerName?: string;
  readonly concurrency?: number;
  readonly rate?: number | None;
  readonly retry?: number[] | None;
  readonly disableAfter?: number;
  readonly disableAfterFailures?: number | None;
}

/** What takes a setting away. Not null: commander would make a text of that. */
const NONE = "none";
type None = typeof NONE;

/** The option of each setting, for messages. */
const OPTION_OF: Readonly<Record<string, string>> = {
  url: "the URL",
  types: "--types",
  description: "--description",
  tenant: "--tenant",
  filter: "--filter",
  lane: "--lane",
  headerName: "--header-name",
  concurrency: "--concurrency",
  ratePerSecond: "--rate",
  scheduleMs: "--retry",
  disableAfterMs: "--disable-after",
  disableAfterFailures: "--disable-after-failures",
};

export function addEndpointOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--types <types>", "event types, separated by commas; * for all").argParser((text: string) =>
        text
          .split(",")
          .map((type) => type.trim())
          .filter((type) => type !== ""),
      ),
    )
    .addOption(new Option("--description <text>", "what it is for, for people").argParser(orNone(asItIs)))
    .addOption(new Option("--tenant <name>", "whose it is: a label to list by").argParser(orNone(asItIs)))
    .addOption(
      new Option(
        "--filter <path=value>",
        "only events with this value there, e.g. data.channel=whatsapp; several of one path: any of them, of several paths: all of them",
      ).argParser(orNone(addFilter)),
    )
    .addOption(
      new Option(
        "--lane <path>",
        "deliver events with the same value there in order, one at a time, e.g. data.conversationId",
      ).argParser(orNone(asItIs)),
    )
    .addOption(
      new Option(
        "--header-name <name>",
        "the header of the hexadecimal signature, for events of every source; unless set, that of the event's source, where it has one",
      ).argParser(orNone(asItIs)),
    )
    .addOption(
      new Option("--concurrency <n>", `requests at once; ${ENDPOINT_DEFAULTS.concurrency} unless set`).argParser(
        wholeNumber(1, 256),
      ),
    )
    .addOption(
      new Option("--rate <n>", "requests per second; no limit unless set").argParser(orNone(wholeNumber(1, 100_000))),
    )
    .addOption(
      new Option(
        "--retry <waits>",
        "the waits between tries, e.g. 5s,5min,30min,2h; unless set, five at random: up to 30 s, then up to twice as long each",
      ).argParser(orNone((text) => text.split(",").map((part) => duration(part.trim())))),
    )
    .addOption(
      new Option(
        "--disable-after <time>",
        "disable it once it has failed for so long, and ten times in a row; 5d unless set",
      ).argParser(duration),
    )
    .addOption(
      new Option("--disable-after-failures <n>", "disable it once it has failed so often in a row").argParser(
        orNone(wholeNumber(1, 1_000_000)),
      ),
    );
}

/** Settings with what the options ask for. @throws UsageError with all that is wrong, by option. */
export async function toSettings(
  ctx: CliContext,
  before: EndpointSettings,
  { rate, retry, disableAfter, ...options }: EndpointOptions,
): Promise<EndpointSettings> {
  const wanted = {
    ...options,
    ...(rate !== undefined && { ratePerSecond: rate }),
    ...(retry !== undefined && { scheduleMs: retry }),
    ...(disableAfter !== undefined && { disableAfterMs: disableAfter }),
  };
  const changed = Object.entries(wanted).map(([setting, value]) => [setting, value === NONE ? null : value]);
  const result = endpointSettingsSchema.safeParse({ ...before, ...Object.fromEntries(changed) });
  if (!result.success) {
    const problems = result.error.issues.map(
      ({ path: [setting], message }) => `${OPTION_OF[String(setting)] ?? String(setting)} ${printable(message)}`,
    );
    throw new UsageError(problems.join("\n"));
  }
  await assertTypes(
    ctx,
    result.data.types.filter((type) => !before.types.includes(type)),
  );
  return result.data;
}

/** @throws UsageError for a type that nobody could send: it would be waited for in vain. */
async function assertTypes(ctx: CliContext, types: readonly string[]): Promise<void> {
  const problem = await findUnknownTypes(ctx, types);
  if (problem !== null) throw new UsageError(problem);
}

/** Which of these types no source could send, in words; null where each could be. */
export async function findUnknownTypes(ctx: CliContext, types: readonly string[]): Promise<string | null> {
  const asked = types.filter((type) => type !== ALL_TYPES);
  if (asked.length === 0) return null;
  const { list } = await readProjectSources(ctx);
  const known = new Set<string>(OWN_EVENT_TYPES);
  const prefixes: string[] = [];
  for (const { source } of list) {
    if (source.typePrefix === null) for (const type of source.eventTypes) known.add(type);
    else prefixes.push(source.typePrefix);
  }
  const unknown = asked.filter((type) => !known.has(type) && !prefixes.some((prefix) => type.startsWith(prefix)));
  if (unknown.length === 0) return null;
  const others = prefixes.map((prefix) => `${prefix}…`);
  return `No source sends ${unknown.map((type) => printable(type)).join(", ")}. Known are ${[...known, ...others].join(", ")}.`;
}

const asItIs = (text: string): string => text;

/** Takes `none` for what takes a setting away, which is then as it is unless set. */
function orNone<T>(parse: (text: string, before?: T) => T): (text: string, before?: T | None) => T | None {
  return (text, before) => (text === NONE ? NONE : parse(text, before === NONE ? undefined : before));
}

function addFilter(text: string, before: Record<string, string[]> = {}): Record<string, string[]> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("It must be a path and a value, e.g. data.channel=whatsapp.");
  const path = text.slice(0, at);
  return { ...before, [path]: [...(before[path] ?? []), text.slice(at + 1)] };
}

function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError("It must be a length of time: 5s, 30min, 2h, 3d.");
  return ms;
}
