import { type Answer, isSuccess } from "@penstock/dispatch";
import { maskBody, OWN_SOURCE } from "@penstock/schemas";
import { showEvents, type TailedEvent } from "@penstock/store";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliError, ReportedFailure, UsageError } from "../cli-error.ts";
import { withStore } from "../database.ts";
import { moment } from "../filter-options.ts";
import { findUnknownTypes } from "../endpoints/endpoint-options.ts";
import { describeForwarded } from "../listen/describe-forwarded.ts";
import { followEvents } from "../listen/follow-events.ts";
import { createForwarder, type Forwarder } from "../listen/forward.ts";
import { decodeUtf8, formatBody } from "../output/body-text.ts";
import { noEvent } from "../no-match.ts";
import { retentionInStore } from "../operations/retention.ts";
import { printable } from "../output/printable.ts";
import { readProjectSources } from "../project-config.ts";
import { findSensitive } from "../sources/find-sensitive.ts";

interface ListenFlags {
  readonly forward?: string;
  readonly print?: true;
  readonly types?: readonly string[];
  readonly source?: string;
  readonly since?: number | Date;
  readonly event?: string;
  readonly secret?: string;
  readonly json?: true;
}

const notes = (ctx: CliContext): string => `
Events are sent one after the other, in order, each once: a failure is shown and not tried again. Nothing is lost by it,
since the event is stored: go on from before it with --since and its cursor. With --json, each line has its \`cursor\`;
Ctrl-C prints the last one.

Examples:
  ${ctx.penstock} listen --forward http://localhost:3000/hook
  ${ctx.penstock} listen --forward http://localhost:3000/hook --event evt_7f3a9b2c
  ${ctx.penstock} listen --forward http://localhost:3000/hook --types message.received,contact.created --since 2h
  npm run --silent penstock -- listen --print --json | jq .body`;

export function registerListen(program: Command, ctx: CliContext): void {
  program
    .command("listen")
    .summary("show events as they come, and forward them to a local program")
    .description(
      "Follows the events of this database as workers process them, or from --since on, skips none, and posts each to a program of yours, signed as its provider signs it. Goes on by itself after Postgres was away. For a developer's machine: any address will do.",
    )
    .option("--forward <url>", "where to post each event: its exact body, signed")
    .option("--print", "show each event's body, too; fields that its source calls sensitive are masked")
    .addOption(new Option("--types <types>", "only of these types, separated by commas").argParser(parseTypes))
    .option("--source <source>", "only of this source")
    .addOption(
      new Option(
        "--since <when>",
        "begin with what was received since: 2h, a time, or the cursor that an earlier listen ended with; else with the next",
      ).argParser(parseSince),
    )
    .option("--event <event>", "forward or show this one event, by its id or its seq (seq:7), and end")
    .option("--secret <secret>", "sign with this; else with the newest secret of the event's source")
    .option("--json", "print one JSON object per event")
    .addHelpText("after", notes(ctx))
    .action((flags: ListenFlags) => listen(ctx, flags));
}

async function listen(ctx: CliContext, flags: ListenFlags): Promise<void> {
  const { types, source, secret, since = null, event } = flags;
  const sensitiveOf = await findSensitive(ctx);
  if (secret === "") throw new UsageError("--secret must not be empty.");
  if (source !== undefined) await assertSource(ctx, source);
  const url = parseForward(flags.forward);
  const forwarder = url === null ? null : createForwarder(ctx, { url, sources: await readProjectSources(ctx), secret });
  if (event !== undefined) {
    if (types !== undefined || since !== null)
      throw new UsageError("--event is one event: leave out --types and --since.");
    return listenToOne(ctx, { ...flags, event }, forwarder, sensitiveOf);
  }
  let cursor: number | null = null;
  let failed = 0;
  // What an earlier version or a source that is gone has stored can be of such a type.
  const unknown = types === undefined ? null : await findUnknownTypes(ctx, types);
  if (unknown !== null) ctx.output.say(unknown);
  try {
    for await (const page of followEvents(ctx, since, { types, source })) {
      if (cursor === null)
        ctx.output.say(`Listening${url ? ` and forwarding to ${printable(url)}` : ""}. Ctrl-C ends it.`);
      for (const event of page.events) {
        const answer = forwarder && (await forwarder.post(event));
        if (ctx.stop.aborted && answer?.answered !== true) break;
        show(ctx, flags, hide(event, sensitiveOf), answer);
        if (answer && !(answer.answered && isSuccess(answer.status)) && failed++ === 0) {
          ctx.output.say(`It is not tried again. To have it sent once more: --since ${event.seq - 1}`);
        }
        cursor = event.seq;
      }
      if (!ctx.stop.aborted) ({ cursor } = page);
    }
  } finally {
    await forwarder?.close();
    if (cursor !== null) {
      const same = secret === undefined ? "" : "  (and the same --secret)";
      ctx.output.say(`Go on from here with: ${ctx.penstock} ${toCommand(flags, cursor)}${same}`);
    }
  }
}

/** Forwards and shows one event that is stored, of several with its id the newest. @throws CliError when there is none. */
async function listenToOne(
  ctx: CliContext,
  flags: ListenFlags & { readonly event: string },
  forwarder: Forwarder | null,
  sensitiveOf: SensitiveOf,
): Promise<void> {
  try {
    const event = await withStore(ctx, async (store): Promise<TailedEvent> => {
      const found = (await showEvents(store, flags.event, flags.source)).at(-1);
      if (found === undefined) throw new CliError(await noEvent(ctx, retentionInStore(store, ctx), flags.event));
      return { ...found, receivedAt: new Date(found.receivedAt) };
    });
    const answer = forwarder && (await forwarder.post(event));
    show(ctx, flags, hide(event, sensitiveOf), answer);
    if (answer && !(answer.answered && isSuccess(answer.status))) throw new ReportedFailure("it was not taken");
  } finally {
    await forwarder?.close();
  }
}

type SensitiveOf = Awaited<ReturnType<typeof findSensitive>>;

/** An event as it is shown. A program that it is forwarded to gets its exact body. */
const hide = (event: TailedEvent, sensitiveOf: SensitiveOf): TailedEvent => {
  const sensitive = sensitiveOf(event.source);
  return sensitive.length === 0 ? event : { ...event, body: Buffer.from(maskBody(event.body, sensitive)) };
};

function show(ctx: CliContext, flags: ListenFlags, event: TailedEvent, answer: Answer | null): void {
  if (flags.json) ctx.output.json(toJson(event, answer, flags.print === true));
  else {
    ctx.output.result(describeForwarded(event, answer));
    if (flags.print) ctx.output.result(formatBody(event.body));
  }
}

function toJson(event: TailedEvent, answer: Answer | null, print: boolean): object {
  const { seq, source, id, type, receivedAt, body } = event;
  const text = decodeUtf8(body);
  return {
    cursor: seq,
    source,
    id,
    type,
    receivedAt,
    ...(answer && {
      status: answer.answered ? answer.status : null,
      error: answer.answered ? null : answer.code,
      durationMs: answer.durationMs,
    }),
    ...(print && { body: text ?? body.toString("base64"), bodyEncoding: text === null ? "base64" : "utf8" }),
  };
}

/** The same call from a cursor on; without the secret, which is not to be seen. */
function toCommand({ forward, print, types, source, json }: ListenFlags, cursor: number): string {
  return [
    "listen",
    ...(forward === undefined ? [] : ["--forward", quoted(forward)]),
    ...(print ? ["--print"] : []),
    ...(types === undefined ? [] : ["--types", quoted(types.join(","))]),
    ...(source === undefined ? [] : ["--source", quoted(source)]),
    ...(json ? ["--json"] : []),
    "--since",
    String(cursor),
  ].join(" ");
}

async function assertSource(ctx: CliContext, source: string): Promise<void> {
  const { list } = await readProjectSources(ctx);
  if (source === OWN_SOURCE || list.some(({ name }) => name === source)) return;
  throw new UsageError(`There is no source ${printable(source)}: see \`${ctx.penstock} sources list\`.`);
}

/** For a shell, where it has to be. */
function quoted(text: string): string {
  const shown = printable(text);
  return /^[\w:/.,=@%+-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", String.raw`'\''`)}'`;
}

function parseForward(text: string | undefined): string | null {
  if (text === undefined) return null;
  const url = URL.parse(text);
  if (url !== null && url.username + url.password !== "") {
    throw new UsageError("--forward must hold no credentials: each request is signed instead.");
  }
  if (url !== null && /^https?:$/.test(url.protocol)) return url.href;
  throw new UsageError("--forward must be an http or https URL, e.g. http://localhost:3000/hook.");
}

function parseTypes(text: string): string[] {
  const types = text
    .split(",")
    .map((type) => type.trim())
    .filter((type) => type !== "");
  if (types.length > 0) return types;
  throw new InvalidArgumentError("It must name a type, or several separated by commas.");
}

function parseSince(text: string): number | Date {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  try {
    return moment(text);
  } catch {
    throw new InvalidArgumentError(
      "It must be the cursor that a listen ended with, a time such as 2026-06-01 or 2026-06-01T14:32:00Z, or how long ago: 30min, 2h, 3d.",
    );
  }
}
