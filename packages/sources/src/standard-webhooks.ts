import { createPublicKey, createSecretKey, type KeyObject, verify as verifySignature } from "node:crypto";
import { defineSource, isProvider, type Source, type Verification } from "./define-source.ts";
import { firstTime } from "./identity.ts";
import { checkTolerance, type SourceOptions } from "./source-options.ts";
import { isTimestamp, MALFORMED, MISMATCH, MISSING, signaturesIn, withinTolerance } from "./verification.ts";
import { MAX_SIGNATURES, verifyHmac } from "./verify-hmac.ts";

export interface StandardWebhooksOptions extends SourceOptions {
  /** Who sends, as it is to stand in front of types: `openai` for `openai.batch.completed`; `standard-webhooks` unless given. */
  readonly provider?: string;
  /** How far the signed time may be from ours; 300 unless given, 0 for any. */
  readonly toleranceSeconds?: number;
}

const OPTIONS = ["provider", "toleranceSeconds"];
const SECRET = /^(?:whsec_)?([A-Za-z0-9+/]+={0,2})$/;
const PUBLIC_KEY = /^whpk_([A-Za-z0-9+/]{43}=)$/;
// The last character carries two bits, so only four can be it; the others would make several signatures of one.
const ED25519_SIGNATURE = /^[A-Za-z0-9+/]{85}[AQgw]==$/;

/**
 * Standard Webhooks, and Svix, which it came from: headers `webhook-id`, `webhook-timestamp` and `webhook-signature`
 * (or `svix-…`), the last a list of `v1,<base64>` (HMAC-SHA256, keyed with the bytes of `whsec_<base64>`) and
 * `v1a,<base64>` (ed25519, with the public key `whpk_<base64>`) over `<id>.<timestamp>.<body>`. The id is the same over
 * retries. `type` and the time are read from the body, which is `data` as a whole: the time from `timestamp`, as the
 * specification has it, else from `created_at`, `created` or `createdAt`.
 *
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export function standardWebhooks(options: StandardWebhooksOptions = {}): Source {
  const toleranceSeconds = options?.toleranceSeconds ?? 300;
  const provider = options?.provider ?? "standard-webhooks";
  return defineSource(
    {
      provider: isProvider(provider) ? provider : "standard-webhooks",
      options: OPTIONS,
      problems: [
        ...(isProvider(provider) ? [] : ["`provider` must be lower-case letters, digits and hyphens"]),
        ...checkTolerance(options?.toleranceSeconds),
      ],
      verify({ header, body }, secrets, now) {
        const brand = header("webhook-id") === undefined ? "svix" : "webhook";
        const [id, timestamp, signature] = [
          header(`${brand}-id`),
          header(`${brand}-timestamp`),
          header(`${brand}-signature`),
        ];
        if (!id || !timestamp || !signature) return MISSING;
        if (!isTimestamp(timestamp)) return MALFORMED;
        const content = [`${id}.${timestamp}.`, body];
        const symmetric = signaturesIn(signature, "v1,");
        const asymmetric = signaturesIn(signature, "v1a,").filter((value) => ED25519_SIGNATURE.test(value));
        const count = symmetric.length + asymmetric.length;
        if (count === 0 || count > MAX_SIGNATURES) return MALFORMED;
        const verifications = [
          ...(symmetric.length > 0
            ? [verifyHmac({ signatures: symmetric, encoding: "base64", content, keyOf: toKey }, secrets)]
            : []),
          ...(asymmetric.length > 0 ? [verifyEd25519(asymmetric, content, secrets)] : []),
        ];
        const best = verifications.find(({ ok }) => ok) ?? verifications[0] ?? MISMATCH;
        return withinTolerance(best, timestamp, toleranceSeconds, now);
      },
      identify: ({ header }, data) => ({
        id: header("webhook-id") ?? header("svix-id"),
        type: data["type"],
        createdAt: firstTime(data["timestamp"], data["created_at"], data["created"], data["createdAt"]),
      }),
      checkSecret: (secret) =>
        toKey(secret) === null && toPublicKey(secret) === null
          ? "must be `whsec_` or `whpk_` and what the sender shows after it, in base64"
          : null,
    },
    options,
  );
}

function verifyEd25519(
  signatures: readonly string[],
  content: readonly (string | Buffer)[],
  secrets: readonly string[],
): Verification {
  const signed = Buffer.concat(content.map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
  let secretIndex = -1;
  for (const [index, secret] of secrets.entries()) {
    const key = toPublicKey(secret);
    if (key === null) continue;
    for (const signature of signatures) {
      const matches = verifySignature(null, signed, key, Buffer.from(signature, "base64"));
      if (matches && secretIndex === -1) secretIndex = index;
    }
  }
  return secretIndex === -1 ? MISMATCH : { ok: true, secretIndex };
}

const keys = new Map<string, KeyObject | null>();

/** The key of an HMAC; `null` where it is none. */
function toKey(secret: string): KeyObject | null {
  return keep(`v1 ${secret}`, () => {
    const [, base64] = SECRET.exec(secret) ?? [];
    const bytes = base64 === undefined || base64.length % 4 !== 0 ? null : Buffer.from(base64, "base64");
    return bytes === null || bytes.length === 0 ? null : createSecretKey(bytes);
  });
}

function toPublicKey(secret: string): KeyObject | null {
  return keep(`v1a ${secret}`, () => {
    const [, base64] = PUBLIC_KEY.exec(secret) ?? [];
    if (base64 === undefined) return null;
    const x = Buffer.from(base64, "base64").toString("base64url");
    return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  });
}

/** Live secrets are few and every request needs them all: made into keys once. */
function keep(name: string, make: () => KeyObject | null): KeyObject | null {
  let key = keys.get(name);
  if (key === undefined) keys.set(name, (key = make()));
  return key;
}
