import { createSecretKey, type KeyObject } from "node:crypto";

// Live secrets are few and every request needs them all: made into keys once. Secrets of no use any more are few, too.
const keys = new Map<string, KeyObject>();

/** A secret as the key of an HMAC: its text in UTF-8. */
export function hmacKey(secret: string): KeyObject {
  let key = keys.get(secret);
  if (key === undefined) keys.set(secret, (key = createSecretKey(secret, "utf8")));
  return key;
}
