import { createPublicKey, type KeyObject, verify as verifySignature } from "node:crypto";
import type { Verification } from "./define-source.ts";
import { MALFORMED, MISMATCH } from "./verification.ts";
import { MAX_SIGNATURES } from "./verify-hmac.ts";

/** What a request claims that is signed with a private key. */
export interface PublicKeyClaim {
  /** Of which one has to be right. */
  readonly signatures: readonly Buffer[];
  /** `null` where the kind of key implies it. */
  readonly digest: "sha256" | null;
  /** What was signed, piece by piece. */
  readonly content: readonly (string | Buffer)[];
  /** The public key that a secret stands for, `null` where it stands for none. */
  readonly keyOf: (secret: string) => KeyObject | null;
}

/** Tries signatures with the public key of each secret. Public keys are no secrets, so the time taken may tell which it was. */
export function verifyPublicKey(
  { signatures, digest, content, keyOf }: PublicKeyClaim,
  secrets: readonly string[],
): Verification {
  if (signatures.length === 0 || signatures.length > MAX_SIGNATURES) return MALFORMED;
  const signed = Buffer.concat(content.map((part) => Buffer.from(part)));
  let secretIndex = -1;
  for (const [index, secret] of secrets.entries()) {
    const key = keyOf(secret);
    if (key === null || secretIndex !== -1) continue;
    if (signatures.some((signature) => verifySignature(digest, signed, key, signature))) secretIndex = index;
  }
  return secretIndex === -1 ? MISMATCH : { ok: true, secretIndex };
}

/** Makes keys once, `null` of what is none or makes it throw: live secrets are few, and every request needs them all. */
export function keepKeys(make: (secret: string) => KeyObject | null): (secret: string) => KeyObject | null {
  const keys = new Map<string, KeyObject | null>();
  return (secret) => {
    let key = keys.get(secret);
    if (key === undefined) {
      try {
        key = make(secret);
      } catch {
        key = null;
      }
      keys.set(secret, key);
    }
    return key;
  };
}

/** The 32 bytes of an ed25519 public key as a key. */
export function toEd25519Key(bytes: Buffer): KeyObject {
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: bytes.toString("base64url") }, format: "jwk" });
}
