import { SealError } from "@penstock/dispatch";
import { ENDPOINT_DEFAULTS, KNOWN_EVENT_TYPES, type KnownEventType } from "@penstock/schemas";
import { type EndpointRow, resealEndpointSecrets } from "@penstock/store";
import { type Command, Option } from "commander";
import { assertAllChanged, describeChanges, leftOf } from "../change-all.ts";
import type { CliContext } from "../cli-context.ts";
import { CliError, ReportedFailure, StoppedError, UsageError } from "../cli-error.ts";
import { withStore } from "../database.ts";
import { addEndpointOptions, type EndpointOptions, toSettings } from "../endpoints/endpoint-options.ts";
import { moment, type Moment } from "../filter-options.ts";
import { noEndpoint } from "../no-match.ts";
import { endpointsInStore, toSettingsOf } from "../operations/endpoints.ts";
import { type Operations, withOperations } from "../operations/with-operations.ts";
import { findOutboundConfig, openKeyring } from "../outbound.ts";
import { OVERLAP_MS, parseOverlap } from "../overlap.ts";
import { formatEndpointDetail } from "../output/endpoint-detail.ts";
import { describeEndpoint, formatCount, formatEndpointTable } from "../output/endpoint-table.ts";
import { formatDuration } from "../output/duration.ts";
import { printable } from "../output/printable.ts";

interface Json {
  readonly json?: true;
}

export function registerEndpoints(program: Command, ctx: CliContext): void {
  const endpoints = program
    .command("endpoints")
    .summary("send events on, as signed webhooks: to whom, how it goes, what was missed")
    .description("Shows and changes endpoints: URLs that get events as signed webhooks.");
  registerAdd(endpoints, ctx);
  registerList(endpoints, ctx);
  registerShow(endpoints, ctx);
  registerUpdate(endpoints, ctx);
  registerSecrets(endpoints, ctx);
  registerReseal(endpoints, ctx);
  registerPause(endpoints, ctx);
  registerResume(endpoints, ctx);
  registerRecover(endpoints, ctx);
  registerTest(endpoints, ctx);
  registerDelete(endpoints, ctx);
}

function registerAdd(endpoints: Command, ctx: CliContext): void {
  addEndpointOptions(endpoints.command("add").argument("<url>", "where to: https://…"))
    .summary("add an endpoint, and make its signing secret")
    .description(
      "Adds an endpoint: what is processed from now on and matches is sent to it, signed. Prints its signing secret, which its owner needs to verify what comes.",
    )
    .option("--json", "print one JSON object: the endpoint and its secret")
    .addHelpText(
      "after",
      `\nExamples:\n  ${ctx.penstock} endpoints add https://example.com/hook --types message.received\n  ${ctx.penstock} endpoints add https://example.com/hook --filter data.channel=whatsapp --lane data.conversationId`,
    )
    .action(async (url: string, { json, ...options }: EndpointOptions & Json) => {
      const settings = await toSettings(ctx, { ...ENDPOINT_DEFAULTS, url }, options);
      const row = await withOperations(ctx, ({ addEndpoint }) => addEndpoint(settings));
      if (json) return ctx.output.json(row);
      const { id, secret } = row;
      ctx.output.result(
        `${id}  ${printable(url)}\nsecret  ${secret}\n\nGive the secret to whoever receives: a request is theirs to trust when a library of Standard Webhooks says so, or when ${settings.headerName ?? "the signature header of the event's source"} is the hexadecimal HMAC-SHA256 of its body.${settings.headerName === null ? " Not every source has one; --header-name gives one to all events." : ""}\n\nNext:\n  ${ctx.penstock} endpoints test ${id}\n  ${ctx.penstock} endpoints show ${id}`,
      );
    });
}

function registerList(endpoints: Command, ctx: CliContext): void {
  endpoints
    .command("list")
    .summary("list endpoints and how they fare")
    .description("Lists endpoints, how they fare, and how many deliveries of each wait, are dead or were skipped.")
    .option("--tenant <name>", "only of this tenant")
    .option("--json", "print one JSON object per endpoint")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} endpoints list`)
    .action(async ({ json, ...filter }: { tenant?: string } & Json) => {
      const rows = await withOperations(ctx, ({ listEndpoints }) => listEndpoints(filter));
      if (json) return rows.forEach((row) => ctx.output.json(row));
      if (rows.length === 0) {
        return ctx.output.say(
          filter.tenant === undefined
            ? `There is no endpoint yet: see \`${ctx.penstock} endpoints add --help\`.`
            : `No endpoint belongs to ${printable(filter.tenant)}.`,
        );
      }
      ctx.output.result(formatEndpointTable(rows, new Date()));
    });
}

function registerShow(endpoints: Command, ctx: CliContext): void {
  endpoints
    .command("show")
    .argument("<id>", "the endpoint's id")
    .summary("show all of an endpoint but its secret")
    .description("Shows what is set for an endpoint, how it fares, and what to do next.")
    .option("--json", "print one JSON object")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} endpoints show ep_0123456789abcdef`)
    .action(async (id: string, { json }: Json) => {
      const row = await withOperations(ctx, (operations) => findEndpoint(ctx, operations, id));
      if (json) return ctx.output.json(row);
      ctx.output.result(formatEndpointDetail(ctx, row, new Date()));
    });
}

function registerUpdate(endpoints: Command, ctx: CliContext): void {
  addEndpointOptions(endpoints.command("update").argument("<id>", "the endpoint's id"))
    .option("--url <url>", "where to")
    .summary("change what is set for an endpoint")
    .description(
      "Changes what is set for an endpoint; what is left out stays. `none` takes --filter, --lane, --rate, --disable-after-failures, --description or --tenant away, and gives the usual --retry and --header-name back.",
    )
    .option("--json", "print one JSON object: the endpoint")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} endpoints update ep_0123456789abcdef --types message.received`)
    .action(async (id: string, { json, url, ...options }: EndpointOptions & { url?: string } & Json) => {
      if (url === undefined && Object.keys(options).length === 0) {
        throw new UsageError(`What is to change? See \`${ctx.penstock} endpoints update --help\`.`);
      }
      const row = await withOperations(ctx, async (operations) => {
        const before = toSettingsOf(await findEndpoint(ctx, operations, id));
        const settings = await toSettings(ctx, { ...before, ...(url !== undefined && { url }) }, options);
        const { url: _url, ...others } = settings;
        await operations.updateEndpoint(id, url === undefined ? others : settings);
        return findEndpoint(ctx, operations, id);
      });
      if (json) return ctx.output.json(row);
      ctx.output.result(formatEndpointDetail(ctx, row, new Date()));
    });
}

function registerSecrets(endpoints: Command, ctx: CliContext): void {
  endpoints
    .command("secret")
    .argument("<id>", "the endpoint's id")
    .summary("print an endpoint's signing secret again")
    .description("Prints an endpoint's signing secret. Whoever has the master key and the database may know it.")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} endpoints secret ep_0123456789abcdef`)
    .action(async (id: string) => {
      const secret = await withOperations(ctx, ({ revealEndpointSecret }) => revealEndpointSecret(id));
      if (secret === null) throw new CliError(noEndpoint(ctx, id));
      ctx.output.result(secret);
    });

  endpoints
    .command("rotate")
    .argument("<id>", "the endpoint's id")
    .summary("give an endpoint a new signing secret")
    .description(
      "Makes a new signing secret and prints it. For a while both sign, so that the receiver can change over at any moment.",
    )
    .addOption(
      new Option(
        "--overlap <time>",
        "how long the old one signs, too; 24h unless set, 0 for no longer at all",
      ).argParser(parseOverlap),
    )
    .option("--yes", "also where the last rotation is still under way")
    .option("--json", "print one JSON object: the endpoint and its new secret")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} endpoints rotate ep_0123456789abcdef --overlap 48h`)
    .action(
      async (id: string, { json, yes, overlap: overlapMs = OVERLAP_MS }: { overlap?: number; yes?: true } & Json) => {
        const row = await withOperations(ctx, async (operations) => {
          const { previousSecretUntil } = await findEndpoint(ctx, operations, id);
          if (previousSecretUntil !== null && !yes) {
            throw new UsageError(
              `The last rotation is under way: until ${previousSecretUntil} a receiver may still hold the secret before, which would sign no longer. Wait, or add --yes.`,
            );
          }
          return operations.rotateEndpointSecret(id, { overlapMs, force: yes === true });
        });
        if (row.previousSecretUntil === null && overlapMs > 0) {
          ctx.output.say("The old one cannot be opened with this master key, and signs no longer.");
        }
        if (json) return ctx.output.json(row);
        const old =
          row.previousSecretUntil === null
            ? "In 5 seconds at the latest the old one signs no longer."
            : `The old one signs, too, until ${row.previousSecretUntil}: in 5 seconds at the latest a header holds both signatures, the new one first.`;
        ctx.output.result(`secret  ${row.secret}\n\n${old}`);
      },
    );
}

function registerReseal(endpoints: Command, ctx: CliContext): void {
  endpoints
    .command("reseal")
    .summary("seal the secrets of all endpoints with the first master key")
    .description(
      "Seals the secrets of all endpoints with the master key that stands first, so that those after it can go. The secrets themselves stay as they are.",
    )
    .option("--json", "print one JSON object: how many endpoints, and the key's id")
    .addHelpText("after", `\nExample:\n  PENSTOCK_MASTER_KEY="$NEW,$OLD" ${ctx.penstock} endpoints reseal`)
    .action(async ({ json }: Json) => {
      const outbound = await findOutboundConfig(ctx);
      const keyring = openKeyring(outbound);
      const { masterKeys } = outbound;
      const lost: string[] = [];
      let left = 0;
      const sealed = await withStore(ctx, async (store) => {
        let count = 0;
        const all = await endpointsInStore(store, ctx).listEndpoints({});
        for (const [at, { id }] of all.entries()) {
          if (ctx.stop.aborted) {
            left = all.length - at;
            break;
          }
          try {
            const reseal = (one: string): string => keyring.seal(keyring.open(one, id), id);
            if (await resealEndpointSecrets(store, id, reseal, ctx.actor)) count++;
          } catch (error) {
            if (!(error instanceof SealError)) throw error;
            lost.push(`${id}: ${error.message}`);
          }
        }
        return count;
      });
      const { keyId } = keyring;
      if (left > 0) {
        const total = sealed + lost.length + left;
        ctx.output.say(
          `Stopped: ${sealed} of ${total} endpoints are sealed with the master key ${keyId}. Run it again.`,
        );
        throw new StoppedError("stopped before all were sealed");
      }
      const said = `${sealed === 1 ? "1 endpoint is" : `${sealed} endpoints are`} sealed with the master key ${keyId}`;
      if (lost.length > 0) throw new CliError(`${said}, these are not:\n${lost.join("\n")}`);
      if (json) ctx.output.json({ endpoints: sealed, keyId });
      else if (masterKeys?.includes(",")) ctx.output.result(`${said}: others can go once all workers have it`);
      else ctx.output.result(`${said}, the only one that is given here: to take another, put it in front`);
    });
}

function registerPause(endpoints: Command, ctx: CliContext): void {
  endpoints
    .command("pause")
    .argument("<id>", "the endpoint's id")
    .summary("keep what an endpoint would get, until it is resumed")
    .description("Pauses an endpoint: what it would get waits, and goes out once it is resumed.")
    .option("--json", "print one JSON object: the endpoint")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} endpoints pause ep_0123456789abcdef`)
    .action(async (id: string, { json }: Json) => {
      const row = await withOperations(ctx, async (operations) => {
        await findEndpoint(ctx, operations, id);
        await operations.pauseEndpoint(id);
        return findEndpoint(ctx, operations, id);
      });
      if (json) return ctx.output.json(row);
      const also = row.status === "disabled" ? ", which is disabled as well: `endpoints resume` ends both" : "";
      ctx.output.result(`paused ${id}${also}`);
    });
}

function registerResume(endpoints: Command, ctx: CliContext): void {
  endpoints
    .command("resume")
    .argument("<id>", "the endpoint's id")
    .summary("let a paused, disabled or failing endpoint go on, at once")
    .description(
      "Lets an endpoint go on that is paused or disabled, or whose circuit is open: what waits for it goes out. Says what it has missed.",
    )
    .option("--json", "print one JSON object: the endpoint")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} endpoints resume ep_0123456789abcdef`)
    .action(async (id: string, { json }: Json) => {
      const { before, row } = await withOperations(ctx, async (operations) => {
        const before = await findEndpoint(ctx, operations, id);
        await operations.resumeEndpoint(id);
        return { before, row: await findEndpoint(ctx, operations, id) };
      });
      if (json) return ctx.output.json(row);
      const { missed } = row;
      const said = before.status === "active" ? `${id} is active: nothing kept it` : `resumed ${id}`;
      ctx.output.result(
        missed === 0
          ? said
          : `${said}\n\nIt has missed ${missed === 1 ? "1 delivery, which" : `${formatCount(missed)} deliveries, which`} failed for good or came while it was disabled. To have them sent:\n  ${ctx.penstock} endpoints recover ${id}`,
      );
    });
}

function registerRecover(endpoints: Command, ctx: CliContext): void {
  endpoints
    .command("recover")
    .argument("<id>", "the endpoint's id")
    .summary("deliver what an endpoint has missed")
    .description(
      "Has delivered, with all tries and under the same webhook-id, what has failed for good, and what was skipped while the endpoint was disabled.",
    )
    .addOption(
      new Option("--since <time>", "only events received since: a time, or how long ago, e.g. 2h").argParser(moment),
    )
    .option("--json", "print one JSON object: how many")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} endpoints recover ep_0123456789abcdef --since 2d`)
    .action(async (id: string, { json, since }: { since?: Moment } & Json) => {
      const { row, changes } = await withOperations(ctx, async (operations) => {
        const found = await findEndpoint(ctx, operations, id);
        const changes = await operations.recoverEndpoint(id, since);
        if (changes.changed + changes.left === 0) throw new CliError(missedNothing(found, since));
        return { row: found, changes };
      });
      const said = `${describeChanges(changes)} to be sent`;
      const held = row.status === "disabled" || row.status === "paused";
      if (json) ctx.output.json({ endpoint: id, deliveries: changes.changed, ...leftOf(changes) });
      else
        ctx.output.result(
          held
            ? `${said} once it goes on: it is ${row.status}\n\nNext:\n  ${ctx.penstock} endpoints resume ${id}`
            : `${said} ${row.nextTryAt === null ? "now" : `once a delivery that probes it has succeeded: ${describeEndpoint(row, new Date())}`}`,
        );
      assertAllChanged(ctx, changes, "The others are as before: the same command takes them.");
    });
}

function registerTest(endpoints: Command, ctx: CliContext): void {
  endpoints
    .command("test")
    .argument("<id>", "the endpoint's id")
    .summary("send a signed request to an endpoint, right now")
    .description(
      "Sends one signed request with an example of an event, as a worker would but from here, and says what came back. Nothing of it is stored.",
    )
    .addOption(
      new Option("--type <type>", "the event's type").choices([...KNOWN_EVENT_TYPES]).default("message.received"),
    )
    .option("--json", "print one JSON object: what came back")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} endpoints test ep_0123456789abcdef`)
    .action(async (id: string, { json, type }: { type: KnownEventType } & Json) => {
      const { row, answer } = await withOperations(ctx, async (operations) => ({
        row: await findEndpoint(ctx, operations, id),
        answer: await operations.testEndpoint(id, type),
      }));
      const said = answer.answered
        ? `HTTP ${answer.status} after ${formatDuration(answer.durationMs)}${answer.body === "" ? "" : `: ${printable(answer.body)}`}`
        : `${answer.code} after ${formatDuration(answer.durationMs)}: ${printable(answer.message)}`;
      if (!answer.answered && ctx.stop.aborted) {
        ctx.output.say(`Stopped after ${formatDuration(answer.durationMs)}: nothing had come back.`);
        throw new StoppedError("stopped before an answer");
      }
      if (json) ctx.output.json(answer);
      else ctx.output.result(answer.ok ? `${said}${nextAfterTest(ctx, row)}` : `failed  ${said}`);
      if (!answer.ok) throw new ReportedFailure(said);
    });
}

function registerDelete(endpoints: Command, ctx: CliContext): void {
  endpoints
    .command("delete")
    .argument("<id>", "the endpoint's id")
    .summary("forget an endpoint")
    .description(
      "Forgets an endpoint and its secret, and cancels what waits for it. What was delivered stays on record. To stop it for a while, pause it.",
    )
    .option("--yes", "really do it")
    .option("--json", "print one JSON object: how many deliveries were cancelled")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} endpoints delete ep_0123456789abcdef --yes`)
    .action(async (id: string, { yes, json }: { yes?: true } & Json) => {
      const changes = await withOperations(ctx, async (operations) => {
        const { url, deliveries } = await findEndpoint(ctx, operations, id);
        if (!yes) {
          const waiting = formatCount(deliveries.pending + deliveries.retrying);
          throw new UsageError(
            `${id} (${printable(url)}) would be forgotten, and ${waiting} deliveries that wait cancelled: add --yes.`,
          );
        }
        return operations.deleteEndpoint(id);
      });
      const { changed, left } = changes;
      if (json) ctx.output.json({ endpoint: id, cancelled: changed, ...leftOf(changes) });
      else if (changed + left === 0) ctx.output.result(`deleted ${id}`);
      else ctx.output.result(`deleted ${id}, and cancelled ${describeChanges(changes)} that waited`);
      assertAllChanged(ctx, changes, "Workers cancel the others.");
    });
}

function nextAfterTest(ctx: CliContext, { id, status, missed }: EndpointRow): string {
  const next = status !== "active" ? "resume" : missed > 0 ? "recover" : null;
  return next === null ? "" : `\n\nNext:\n  ${ctx.penstock} endpoints ${next} ${id}`;
}

function missedNothing({ id, deliveries }: EndpointRow, since: Moment | undefined): string {
  const waiting = deliveries.pending + deliveries.running + deliveries.retrying;
  const when = since === undefined ? "" : ` since ${printable(since.typed)}`;
  return `${id} has missed nothing${when}: nothing is dead or was skipped while it was disabled${waiting === 0 ? "" : `, and ${waiting} deliveries wait`}.`;
}

/** @throws CliError when there is none of this id. */
async function findEndpoint(
  ctx: CliContext,
  operations: Pick<Operations, "findEndpoint">,
  id: string,
): Promise<EndpointRow> {
  const row = await operations.findEndpoint(id);
  if (row === undefined) throw new CliError(noEndpoint(ctx, id));
  return row;
}
