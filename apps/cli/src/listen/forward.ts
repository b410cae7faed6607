import { type Answer, createGuard, createSender, isWebhookId, signatureHeaders } from "@penstock/dispatch";
import { wallClockMs } from "@penstock/schemas";
import type { Sources } from "@penstock/sources";
import type { TailedEvent } from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { traceIdOf } from "../output/event-detail.ts";
import { printable } from "../output/printable.ts";
import { findSecretsOf } from "../sources/source-secrets.ts";

/** Posts events to a program of the user's, signed. */
export interface Forwarder {
  post(event: TailedEvent): Promise<Answer>;
  close(): Promise<void>;
}

/**
 * Posts the exact stored bytes with the headers of Standard Webhooks, and with the plain signature of the event's source
 * where it has one; both are made with the secret that is given, else with the source's newest. What cannot be signed as
 * its provider does is said once. Any address will do, local ones foremost: it is the user's own machine that sends.
 */
export function createForwarder(
  ctx: CliContext,
  { url, sources, secret }: { readonly url: string; readonly sources: Sources; readonly secret: string | undefined },
): Forwarder {
  const sender = createSender({ guard: createGuard({ allow: ["0.0.0.0/0", "::/0"] }), userAgent: "Penstock-listen" });
  const signers = new Map<string, Promise<Signer>>();

  async function post(event: TailedEvent): Promise<Answer> {
    const signer = signers.get(event.source) ?? findSigner(ctx, sources, event.source, secret);
    signers.set(event.source, signer);
    const headers = signHeaders(await signer, event);
    const { traceparent } = event;
    if (traceparent !== null && traceIdOf(traceparent) !== null) headers["traceparent"] = traceparent;
    return sender.post({ url, headers, body: event.body, signal: ctx.stop });
  }

  return { post, close: () => sender.close() };
}

interface Signer {
  readonly secret: string | null;
  /** The header of the plain signature; null: Standard Webhooks alone. */
  readonly headerName: string | null;
}

async function findSigner(ctx: CliContext, sources: Sources, name: string, given: string | undefined): Promise<Signer> {
  const found = sources.list.find((source) => source.name === name);
  const secret = given ?? (found && (await findSecretsOf(ctx, found)).secrets[0]) ?? null;
  const headerName = found?.source.plainSignatureHeader ?? null;
  if (secret === null) {
    const variable = found === undefined ? "penstock.sources.ts does not list it" : `${found.secretsFrom} is not set`;
    ctx.output.say(`Events of ${printable(name)} go out unsigned: ${variable}. See --secret.`);
  } else if (headerName === null) {
    ctx.output.say(`Events of ${printable(name)} are signed as Standard Webhooks, and not as their provider does.`);
  }
  return { secret, headerName };
}

function signHeaders({ secret, headerName }: Signer, { id, seq, body }: TailedEvent): Record<string, string> {
  if (secret === null) return {};
  return signatureHeaders({
    id: id !== null && isWebhookId(id) ? id : `seq_${seq}`,
    timestamp: Math.floor(wallClockMs() / 1_000),
    body,
    secrets: [secret],
    headerName,
  });
}
