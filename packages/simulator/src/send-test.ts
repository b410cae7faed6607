import { randomUUID } from "node:crypto";
import { type Answer, createGuard, createSender, signatureHeaders } from "@penstock/dispatch";
import { type EndpointSettings, type KnownEventType, type OutboundConfig, wallClockMs } from "@penstock/schemas";
import { makeEvent } from "@penstock/schemas/fixtures";
import { SIMULATED } from "./simulated.ts";

/** Sends one signed request with an example of an event, as a worker would, and returns what came back. */
export async function sendTest({
  outbound,
  endpoint,
  secrets,
  type,
  signal,
}: {
  readonly outbound: OutboundConfig;
  readonly endpoint: Pick<EndpointSettings, "url" | "headerName">;
  /** Of which each signs, the newest first. */
  readonly secrets: readonly string[];
  readonly type: KnownEventType;
  readonly signal: AbortSignal;
}): Promise<Answer> {
  const sender = createSender({ guard: createGuard(outbound) });
  const id = `test_${randomUUID().replaceAll("-", "")}`;
  const body = Buffer.from(JSON.stringify({ ...makeEvent(type), id, createdAt: new Date().toISOString() }));
  const { url } = endpoint;
  // The example is an event of the provider that the simulator plays.
  const headerName = endpoint.headerName ?? SIMULATED.signatureHeader;
  const timestamp = Math.floor(wallClockMs() / 1_000);
  const headers = signatureHeaders({ id, timestamp, body, secrets, headerName });
  const answer = await sender.post({ url, headers, body, signal });
  await sender.close();
  return answer;
}
