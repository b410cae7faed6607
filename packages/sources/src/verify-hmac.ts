import { type KeyObject, timingSafeEqual } from "node:crypto";
import { hmac } from "@penstock/schemas";
import type { Verification } from "./define-source.ts";
import { hmacKey } from "./hmac-key.ts";
import { MALFORMED, MISMATCH, MISSING, signaturesIn } from "./verification.ts";

export const HMAC_ALGORITHMS = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 } as const;
export const HMAC_ENCODINGS = ["hex", "base64"] as const;

/** What a request claims: signatures, of which one has to be right, and what they cover. */
export interface HmacClaim {
  /**
   * What stands in the header. Each may be a list of signatures, as while a secret is rotated: one right one will do. What
   * is undefined or empty is not there.
   */
  readonly signatures: readonly (string | undefined)[];
  /** What stands in front of each signature, e.g. `sha256=`; what has something else in front is passed over. */
  readonly prefix?: string;
  /** hex unless given. */
  readonly encoding?: (typeof HMAC_ENCODINGS)[number];
  /** sha256 unless given. */
  readonly algorithm?: keyof typeof HMAC_ALGORITHMS;
  /** What was signed, piece by piece. */
  readonly content: readonly (string | Buffer)[];
  /** The key that a secret stands for; its text in UTF-8 unless given, `null` where it is the secret of something else. */
  readonly keyOf?: (secret: string) => KeyObject | null;
}

/** More signatures than any provider sends, and few enough to compare. */
export const MAX_SIGNATURES = 16;

/**
 * Compares signatures with what each secret would make of the content: in constant time, and always with all secrets, so
 * that the time taken does not tell which are live. An empty secret, which everybody knows, never matches.
 *
 * @example
 * verifyHmac({ signatures: [request.header("x-acme-signature")], prefix: "v1=", content: [request.body] }, secrets);
 */
export function verifyHmac(claim: HmacClaim, secrets: readonly string[]): Verification {
  const { encoding = "hex", algorithm = "sha256", content, keyOf = hmacKey } = claim;
  const headers = claim.signatures.filter(
    (signature): signature is string => signature !== undefined && signature !== "",
  );
  if (headers.length === 0) return MISSING;
  const given = headers.flatMap((header) => signaturesIn(header, claim.prefix));
  if (given.length > MAX_SIGNATURES) return MALFORMED;
  const claimed = given.flatMap((signature) => decode(signature, encoding, HMAC_ALGORITHMS[algorithm]));
  if (claimed.length === 0) return MALFORMED;

  let secretIndex = -1;
  for (const [index, secret] of secrets.entries()) {
    if (secret === "") continue;
    const key = keyOf(secret);
    if (key === null) continue;
    const expected = Buffer.from(hmac(algorithm, key, content, "hex"), "hex");
    for (const one of claimed) if (timingSafeEqual(one, expected) && secretIndex === -1) secretIndex = index;
  }
  return secretIndex === -1 ? MISMATCH : { ok: true, secretIndex };
}

/** Checked before it is decoded: Buffer.from skips or stops at what it does not know instead of refusing it. */
function decode(signature: string, encoding: "hex" | "base64", bytes: number): [Buffer] | [] {
  const well =
    encoding === "hex"
      ? signature.length === 2 * bytes && /^[0-9A-Fa-f]+$/.test(signature)
      : signature.length <= 4 * Math.ceil(bytes / 3) && /^[0-9A-Za-z+/]+={0,2}$/.test(signature);
  if (!well) return [];
  const decoded = Buffer.from(signature, encoding);
  // Bits of the last character that mean nothing would make several signatures of one.
  const again = encoding === "hex" ? "" : decoded.toString("base64").replace(/=+$/, "");
  if (decoded.length !== bytes || (encoding === "base64" && again !== signature.replace(/=+$/, ""))) return [];
  return [decoded];
}
