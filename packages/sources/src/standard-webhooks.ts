import { createSecretKey, randomUUID } from "node:crypto";
import { hmac } from "@penstock/schemas";
import { defineSource, isProvider, type Source } from "./define-source.ts";
import { firstTime } from "./identity.ts";
import { checkTolerance, type SourceOptions } from "./source-options.ts";
import { isTimestamp, MALFORMED, MISMATCH, MISSING, signaturesIn, withinTolerance } from "./verification.ts";
import { MAX_SIGNATURES, verifyHmac } from "./verify-hmac.ts";
import { keepKeys, toEd25519Key, verifyPublicKey } from "./verify-public-key.ts";

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
      keepsHeaders: ["webhook-id", "webhook-timestamp", "svix-id", "svix-timestamp"],
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
        const asymmetric = signaturesIn(signature, "v1a,")
          .filter((value) => ED25519_SIGNATURE.test(value))
          .map((value) => Buffer.from(value, "base64"));
        const count = symmetric.length + asymmetric.length;
        if (count === 0 || count > MAX_SIGNATURES) return MALFORMED;
        const verifications = [
          ...(symmetric.length > 0
            ? [verifyHmac({ signatures: symmetric, encoding: "base64", content, keyOf: toKey }, secrets)]
            : []),
          ...(asymmetric.length > 0
            ? [verifyPublicKey({ signatures: asymmetric, digest: null, content, keyOf: toPublicKey }, secrets)]
            : []),
        ];
        const best = verifications.find(({ ok }) => ok) ?? verifications[0] ?? MISMATCH;
        return withinTolerance(best, timestamp, toleranceSeconds, now);
      },
      sign(body, secret, now) {
        const key = toKey(secret);
        const [id, time] = [`msg_${randomUUID()}`, String(Math.floor(now / 1_000))];
        // A public key can verify and not sign.
        const signature = key === null ? "" : `v1,${hmac("sha256", key, [`${id}.${time}.`, body], "base64")}`;
        return { "webhook-id": id, "webhook-timestamp": time, "webhook-signature": signature };
      },
      signsTime: true,
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

/** The key of an HMAC. */
const toKey = keepKeys((secret) => {
  const [, base64] = SECRET.exec(secret) ?? [];
  const bytes = base64 === undefined || base64.length % 4 !== 0 ? null : Buffer.from(base64, "base64");
  return bytes === null || bytes.length === 0 ? null : createSecretKey(bytes);
});

const toPublicKey = keepKeys((secret) => {
  const [, base64] = PUBLIC_KEY.exec(secret) ?? [];
  return base64 === undefined ? null : toEd25519Key(Buffer.from(base64, "base64"));
});
