import type { Arrival } from "@penstock/intake";
import type { SignedRequest, Verification } from "@penstock/sources";
import type { ConfiguredSource, LiveSecrets } from "./configured-source.ts";

const MAX_VALUE_LENGTH = 300;

/** What is kept of how a verified request came; null where its source keeps nothing. */
export function toArrival(
  { source: { keptHeaders } }: Pick<ConfiguredSource, "source">,
  live: Pick<LiveSecrets, "fingerprints">,
  { header }: Pick<SignedRequest, "header">,
  { secretIndex, signedAt }: Extract<Verification, { readonly ok: true }>,
  nowMs: number,
): Arrival | null {
  if (keptHeaders.length === 0) return null;
  const values: (string | undefined)[] = [];
  for (const name of keptHeaders) {
    const value = header(name);
    const isLong = value !== undefined && value.length > MAX_VALUE_LENGTH;
    values.push(isLong ? `${value.slice(0, MAX_VALUE_LENGTH)}…` : value);
  }
  return {
    names: keptHeaders,
    values,
    secret: live.fingerprints[secretIndex] ?? null,
    signatureAgeMs: signedAt === undefined ? null : nowMs - signedAt,
  };
}
