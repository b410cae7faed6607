import type { AnyEvent } from "@penstock/handler-sdk";
import type { Source } from "@penstock/sources";
import type { DecodedEvent } from "./decode-event.ts";
import { UnsendableEventError } from "../outage/errors.ts";

/**
 * The body of a request to an endpoint: the stored bytes where the source sends an envelope with id, type, createdAt and data. Else
 * such an envelope around the JSON that the provider sent, byte for byte, or around what the source read from a body that
 * is no JSON. The same bytes at each attempt.
 *
 * @throws UnsendableEventError when the data that the source read cannot be written as JSON.
 */
export function outboundBody(
  { stored, event, provider, json }: DecodedEvent,
  source: Pick<Source, "sendsEnvelope"> | undefined,
): Buffer {
  if (source?.sendsEnvelope) return stored.body;
  const { id, type, createdAt, data } = event as Omit<AnyEvent, "data"> & { data: unknown };
  const envelope = JSON.stringify({ id, type, createdAt: createdAt.toISOString() });
  const beginning = Buffer.from(`${envelope.slice(0, -1)},"data":`);
  return Buffer.concat([beginning, json ?? toJson(data, provider), END]);
}

const END = Buffer.from("}");

function toJson(data: unknown, provider: string): Buffer {
  let json: string | undefined;
  try {
    json = JSON.stringify(data) as string | undefined;
  } catch {
    // The error may quote the body.
  }
  if (json === undefined) throw new UnsendableEventError(provider);
  return Buffer.from(json);
}
