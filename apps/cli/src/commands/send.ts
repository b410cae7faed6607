import { KNOWN_EVENT_TYPES, type KnownEventType, isKnownEventType } from "@penstock/schemas";
import { layOver, type Overlay, send, type SendOptions, SIMULATED } from "@penstock/simulator";
import { Argument, type Command, InvalidArgumentError, Option } from "commander";
import type { CliContext } from "../cli-context.ts";
import { ReportedFailure, StoppedError, UsageError } from "../cli-error.ts";
import { describeError } from "../describe-error.ts";
import { readBodyFile } from "../send/body-file.ts";
import { describeManySent, describeOneSent } from "../send/describe-sent.ts";
import { createProgressBar } from "../send/progress-bar.ts";
import { parseSet, readOverlayFile } from "../send/overlay.ts";
import { watchEvents } from "../send/sent-events.ts";
import { findTarget } from "../send/target.ts";
import { wholeNumber } from "../whole-number.ts";

type TypeChoice = KnownEventType | "random";

interface SendFlags {
  readonly count: number;
  readonly rate?: number;
  readonly concurrency: number;
  readonly duplicate: number;
  readonly shuffle?: true;
  readonly retries: number;
  readonly badSignature?: number;
  readonly late?: number;
  readonly storm?: number;
  readonly seed?: number;
  readonly types?: readonly KnownEventType[];
  readonly secret?: string;
  readonly url?: string;
  readonly id?: string;
  readonly data?: Record<string, unknown>;
  readonly set?: Overlay;
  readonly file?: string;
  readonly bodyFile?: string;
  readonly json?: true;
}

const examples = (ctx: CliContext): string => `
Examples:
  ${ctx.penstock} send message.received
  ${ctx.penstock} send contact.updated --data '{"tags":["vip"]}'
  ${ctx.penstock} send message.received --set data.body="Where is my order?" --set data.channel=email
  ${ctx.penstock} send random --count 5000 --rate 500 --duplicate 1 --shuffle
  ${ctx.penstock} send message.received --bad-signature
  ${ctx.penstock} send --body-file broken.json
  ${ctx.penstock} send random --count 1000 --retries 5 --duplicate 1 --shuffle --late 0.1 --storm 0.02 --bad-signature 0.01 --seed 7

A share is from 0 to 1; without one, all. \`trigger\` is another name for \`send\`.

Exit code: 0 when every copy of every event was acknowledged, else 1; 130 when it was stopped before.`;

const MAX_REQUESTS = 10_000_000;

export function registerSend(program: Command, ctx: CliContext): void {
  program
    .command("send")
    .alias("trigger")
    .summary(`send signed ${SIMULATED.name} events, as ${SIMULATED.name} would`)
    .description(`Sends signed ${SIMULATED.name} events and says what came back and what became of them.`)
    .addArgument(
      new Argument("[type]", "the event type; random: all eight, taking turns").choices([
        ...KNOWN_EVENT_TYPES,
        "random",
      ]),
    )
    .addOption(number("--count <n>", "different events", 1, MAX_REQUESTS).default(1))
    .addOption(new Option("--rate <n>", "requests per second; as fast as possible unless set").argParser(parseRate))
    .addOption(number("--concurrency <n>", "requests under way at most", 1, 10_000).default(32))
    .addOption(number("--duplicate <n>", "extra times that each event is sent", 0, MAX_REQUESTS).default(0))
    .option("--shuffle", "send in random order")
    .addOption(
      number(
        "--retries <n>",
        `of what is not acknowledged within 10 s, after waits that double; ${SIMULATED.name}: 5`,
        0,
        5,
      ).default(0),
    )
    .addOption(share("--bad-signature [share]", "sign with another secret"))
    .addOption(share("--late [share]", "created up to a day ago"))
    .addOption(share("--storm [share]", "sent five times at once, given up after 20 ms each, although acknowledged"))
    .addOption(number("--seed <n>", "the same faults for the same events, in the same order", 0, 2 ** 32 - 1))
    .option(
      "--secret <secret>",
      `sign with this; else the newest of the database, else ${SIMULATED.secretsFrom}, else what \`secret show\` prints`,
    )
    .option("--url <url>", "the webhook; that of the running `start` unless set")
    .addOption(
      new Option("--types <types>", "random events of these types only, separated by commas: a subscription")
        .argParser(parseTypes)
        .conflicts("bodyFile"),
    )
    .addOption(new Option("--id <id>", "the event's id; random unless set").conflicts("bodyFile"))
    .addOption(
      new Option("--data <json>", "an object, laid over the event's data").argParser(parseObject).conflicts("bodyFile"),
    )
    .addOption(
      new Option(
        "--set <path=value>",
        'one field of the event, e.g. data.body="Hi"; a value that is JSON is taken as such',
      )
        .argParser(parseSet)
        .conflicts("bodyFile"),
    )
    .addOption(
      new Option(
        "--file <file>",
        "a JSON object that is laid over the event, field by field; its type unless one is given",
      ).conflicts("bodyFile"),
    )
    .option("--body-file <file>", "send exactly these bytes instead of an event of a type")
    .option("--json", "print one JSON object")
    .addHelpText("after", examples(ctx))
    .action(async (type: TypeChoice | undefined, flags: SendFlags) => {
      const options = await toSendOptions(ctx, type, flags);
      const target = await findTarget(ctx, flags);
      const progress = createProgressBar(ctx.output);
      try {
        const countSent = target.store && (await watchEvents(target.store, ctx.stop));
        const report = await send({ ...options, ...target, onProgress: progress.update }).finally(progress.end);
        const events =
          countSent && report.eventIds.length > 0
            ? await countSent(report.eventIds).catch((error: unknown) => {
                // What came back is told in any case.
                ctx.output.say(`What became of it cannot be told. ${describeError(error)}`);
                return null;
              })
            : null;

        if (flags.json) ctx.output.json({ ...report, events });
        else if (flags.count * (flags.duplicate + 1) > 1 || report.sent > 1)
          ctx.output.result(describeManySent(report, events));
        else ctx.output.result(describeOneSent(report, events, new Date()));

        if (report.byStatus["401"] && !flags.badSignature) {
          ctx.output.say(
            `It was signed with the secret from ${target.secretOrigin}, which the receiver does not know.`,
          );
        }
        const { acknowledged } = report.deliveries;
        const wanted = flags.count * (flags.duplicate + 1);
        if (acknowledged < wanted && ctx.stop.aborted) throw new StoppedError("stopped before all were acknowledged");
        if (acknowledged < wanted) throw new ReportedFailure(`${acknowledged} of ${wanted} were acknowledged`);
      } finally {
        await target.store?.close();
      }
    });
}

async function toSendOptions(
  ctx: CliContext,
  type: TypeChoice | undefined,
  flags: SendFlags,
): Promise<Omit<SendOptions, "url" | "secret">> {
  const { count, rate, concurrency, duplicate, shuffle, retries, seed, id, data, bodyFile } = flags;
  const file = flags.file === undefined ? {} : await readOverlayFile(ctx, flags.file);
  if (type !== undefined && flags.types !== undefined) throw new UsageError("Give a type or --types, not both.");
  const { type: typeOfFile, ...untyped } = file;
  const types = findTypes(type, flags.types, typeOfFile);
  if (types === null && bodyFile === undefined) {
    throw new UsageError(`Which type is to be sent? One of ${KNOWN_EVENT_TYPES.join(", ")}, or random.`);
  }
  if (count * (duplicate + 1) > MAX_REQUESTS) {
    throw new UsageError(`--count times (--duplicate + 1) must be ${MAX_REQUESTS} at most.`);
  }
  return {
    types: types ?? undefined,
    count,
    ratePerSecond: rate,
    concurrency,
    duplicate,
    shuffle,
    retries,
    badSignature: flags.badSignature,
    late: flags.late,
    storm: flags.storm,
    seed,
    overrides: { id, data },
    overlay: layOver(untyped, flags.set ?? {}),
    body: bodyFile === undefined ? undefined : await readBodyFile(ctx, bodyFile),
    signal: ctx.stop,
  };
}

/** The type that is asked for, else the file's; null: none that there is. */
function findTypes(
  type: TypeChoice | undefined,
  types: readonly KnownEventType[] | undefined,
  typeOfFile: unknown,
): readonly KnownEventType[] | null {
  if (types !== undefined) return types;
  if (type === "random") return KNOWN_EVENT_TYPES;
  if (type !== undefined) return [type];
  return typeof typeOfFile === "string" && isKnownEventType(typeOfFile) ? [typeOfFile] : null;
}

function parseTypes(text: string): KnownEventType[] {
  const types = text.split(",").map((type) => type.trim());
  const known = types.filter((type) => isKnownEventType(type));
  if (known.length === types.length) return known;
  throw new InvalidArgumentError(`They must be some of ${KNOWN_EVENT_TYPES.join(", ")}.`);
}

/** Of the copies or events; all of them where it is only named. */
function share(flags: string, description: string): Option {
  return new Option(flags, description).preset("1").argParser((text) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (value >= 0 && value <= 1) return value;
    throw new InvalidArgumentError("It must be a share from 0 to 1, e.g. 0.1; or nothing, for all.");
  });
}

function number(flags: string, description: string, min: number, max: number): Option {
  return new Option(flags, description).argParser(wholeNumber(min, max));
}

function parseRate(text: string): number {
  const rate = text.trim() === "" ? Number.NaN : Number(text);
  if (rate > 0 && rate <= 1_000_000) return rate;
  throw new InvalidArgumentError("It must be a number above 0 and at most 1000000.");
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new InvalidArgumentError('It must be a JSON object, e.g. \'{"tags":["vip"]}\'.');
}
