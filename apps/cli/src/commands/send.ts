import { BUZZBIP_EVENT_TYPES, type BuzzBipEventType } from "@penstock/schemas";
import { send, type SendOptions } from "@penstock/simulator";
import { Argument, type Command, InvalidArgumentError, Option } from "commander";
import { type CliContext, PENSTOCK } from "../cli-context.ts";
import { ReportedFailure, UsageError } from "../cli-error.ts";
import { describeError } from "../describe-error.ts";
import { readBodyFile } from "../send/body-file.ts";
import { describeManySent, describeOneSent } from "../send/describe-sent.ts";
import { createProgressBar } from "../send/progress-bar.ts";
import { watchEvents } from "../send/sent-events.ts";
import { findTarget } from "../send/target.ts";
import { wholeNumber } from "../whole-number.ts";

type TypeChoice = BuzzBipEventType | "random";

interface SendFlags {
  readonly count: number;
  readonly rate?: number;
  readonly concurrency: number;
  readonly duplicate: number;
  readonly shuffle?: true;
  readonly badSignature?: true;
  readonly secret?: string;
  readonly url?: string;
  readonly id?: string;
  readonly data?: Record<string, unknown>;
  readonly bodyFile?: string;
  readonly json?: true;
}

const EXAMPLES = `
Examples:
  ${PENSTOCK} send message.received
  ${PENSTOCK} send contact.updated --data '{"tags":["vip"]}'
  ${PENSTOCK} send random --count 5000 --rate 500 --duplicate 1 --shuffle
  ${PENSTOCK} send message.received --bad-signature
  ${PENSTOCK} send --body-file broken.json

Exit code: 0 when every request was acknowledged, else 1.`;

const MAX_REQUESTS = 10_000_000;

export function registerSend(program: Command, ctx: CliContext): void {
  program
    .command("send")
    .summary("send signed BuzzBip events, as BuzzBip would")
    .description("Sends signed BuzzBip events and says what came back and what became of them.")
    .addArgument(
      new Argument("[type]", "the event type; random: all eight, taking turns").choices([
        ...BUZZBIP_EVENT_TYPES,
        "random",
      ]),
    )
    .addOption(number("--count <n>", "different events", 1, MAX_REQUESTS).default(1))
    .addOption(new Option("--rate <n>", "requests per second; as fast as possible unless set").argParser(parseRate))
    .addOption(number("--concurrency <n>", "requests under way at most", 1, 10_000).default(32))
    .addOption(number("--duplicate <n>", "extra times that each event is sent", 0, MAX_REQUESTS).default(0))
    .option("--shuffle", "send in random order")
    .option("--bad-signature", "sign with another secret")
    .option("--secret <secret>", "sign with this; else BUZZBIP_SIGNING_SECRETS, else what `secret show` prints")
    .option("--url <url>", "the webhook; that of the running `start` unless set")
    .addOption(new Option("--id <id>", "the event's id; random unless set").conflicts("bodyFile"))
    .addOption(
      new Option("--data <json>", "an object, laid over the event's data").argParser(parseObject).conflicts("bodyFile"),
    )
    .option("--body-file <file>", "send exactly these bytes instead of an event of a type")
    .option("--json", "print one JSON object")
    .addHelpText("after", EXAMPLES)
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
        else if (report.sent > 1) ctx.output.result(describeManySent(report, events));
        else ctx.output.result(describeOneSent(report, events, new Date()));

        if (report.byStatus["401"] && !flags.badSignature) {
          ctx.output.say(
            `It was signed with the secret from ${target.secretOrigin}, which the receiver does not know.`,
          );
        }
        const acknowledged = countAcknowledged(report.byStatus);
        const wanted = flags.count * (flags.duplicate + 1);
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
  const { count, rate, concurrency, duplicate, shuffle, badSignature, id, data, bodyFile } = flags;
  if (type === undefined && bodyFile === undefined) {
    throw new UsageError(`Which type is to be sent? One of ${BUZZBIP_EVENT_TYPES.join(", ")}, or random.`);
  }
  if (count * (duplicate + 1) > MAX_REQUESTS) {
    throw new UsageError(`--count times (--duplicate + 1) must be ${MAX_REQUESTS} at most.`);
  }
  return {
    types: type === "random" || type === undefined ? inRandomOrder(BUZZBIP_EVENT_TYPES) : [type],
    count,
    ratePerSecond: rate,
    concurrency,
    duplicate,
    shuffle,
    badSignature,
    overrides: { id, data },
    body: bodyFile === undefined ? undefined : await readBodyFile(ctx, bodyFile),
    signal: ctx.stop,
  };
}

function countAcknowledged(byStatus: Readonly<Record<string, number>>): number {
  return Object.entries(byStatus).reduce((sum, [status, count]) => sum + (/^2\d\d$/.test(status) ? count : 0), 0);
}

function inRandomOrder<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
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
