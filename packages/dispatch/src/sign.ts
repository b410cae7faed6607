import { createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { hmac } from "@penstock/schemas";

export interface ToSign {
  /** The same over all tries of a delivery; without a dot, which separates what is signed. */
  readonly id: string;
  /** Seconds since 1970. */
  readonly timestamp: number;
  readonly body: Buffer;
  /** Newest first. With two, as while one is being rotated out, there are two signatures in each header. */
  readonly secrets: readonly string[];
  /** The header of the plain signature; null: Standard Webhooks alone. */
  readonly headerName: string | null;
}

const STANDARD_SECRET = /^whsec_((?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$/;

const WEBHOOK_ID = /^[\x21-\x2d\x2f-\x7e]{1,256}$/;

/** Whether an id that others made can be a `webhook-id`: what stands in a header as it is, and no dot. */
export function isWebhookId(id: string): boolean {
  return WEBHOOK_ID.test(id);
}

/** A new secret in the form of Standard Webhooks: `whsec_` and 32 random bytes in base64. */
export function generateSecret(): string {
  return `whsec_${randomBytes(32).toString("base64")}`;
}

/**
 * The headers that vouch for a body:
 *
 * - `headerName`, unless that is null: lower-case hex of the HMAC-SHA256 of the body, keyed with the secret's text as it stands; with several
 *   secrets separated by `, `.
 * - `webhook-id`, `webhook-timestamp` and `webhook-signature` of Standard Webhooks: `v1,<base64>`, separated by spaces,
 *   of the HMAC-SHA256 of `<id>.<timestamp>.<body>`, keyed with the bytes that stand in base64 after `whsec_`. A secret
 *   of another form is keyed with as its text.
 */
export function signatureHeaders({ id, timestamp, body, secrets, headerName }: ToSign): Record<string, string> {
  if (secrets.length === 0) throw new Error("There is no secret to sign with.");
  const plain: string[] = [];
  const standard: string[] = [];
  for (const secret of secrets) {
    const key = keysOf(secret);
    if (headerName !== null) plain.push(hmac("sha256", key.text, [body], "hex"));
    standard.push(`v1,${hmac("sha256", key.standard, [`${id}.${timestamp}.`, body], "base64")}`);
  }
  return {
    ...(headerName !== null && { [headerName]: plain.join(", ") }),
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": standard.join(" "),
  };
}

interface Keys {
  /** The secret's text. */
  readonly text: KeyObject;
  /** The bytes that stand in base64 behind `whsec_`; the text where the secret has another form. */
  readonly standard: KeyObject;
}

const MAX_KEPT_KEYS = 1_000;
const kept = new Map<string, Keys>();

/** The keys of a secret. They are kept, since each delivery of an endpoint needs them again. */
function keysOf(secret: string): Keys {
  let keys = kept.get(secret);
  if (keys === undefined) {
    const [, base64] = STANDARD_SECRET.exec(secret) ?? [];
    const text = createSecretKey(secret, "utf8");
    keys = { text, standard: base64 === undefined ? text : createSecretKey(base64, "base64") };
    if (kept.size >= MAX_KEPT_KEYS) kept.clear();
    kept.set(secret, keys);
  }
  return keys;
}
