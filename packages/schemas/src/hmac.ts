import { createHmac, hash, type KeyObject } from "node:crypto";

/** Bytes of a block and of a digest, by algorithm (FIPS 180-4). */
const SIZES = {
  sha1: { block: 64, digest: 20 },
  sha256: { block: 64, digest: 32 },
  sha384: { block: 128, digest: 48 },
  sha512: { block: 128, digest: 64 },
} as const;

export type HmacAlgorithm = keyof typeof SIZES;

/** Content beyond this size goes through createHmac: hashing the bytes is then the cost, and a copy would be added to it. */
const MAX_COPIED_BYTES = 32 * 1024;

/** The key, XORed into the two pads of RFC 2104, each followed by room for what is hashed behind it. */
interface Pads {
  readonly inner: Buffer;
  readonly outer: Buffer;
}

const padsOf: Record<HmacAlgorithm, WeakMap<KeyObject, Pads>> = {
  sha1: new WeakMap(),
  sha256: new WeakMap(),
  sha384: new WeakMap(),
  sha512: new WeakMap(),
};

/** Holds the inner pad and the content while they are hashed. */
const scratch = Buffer.allocUnsafeSlow(128 + MAX_COPIED_BYTES);

/**
 * HMAC (RFC 2104) of content given piece by piece; text counts as UTF-8.
 *
 * It is made of two one-shot hashes: 2 µs for 350 bytes, where `createHmac` takes 13 to 28, most of it for its native object
 * and the collection of that.
 *
 * @example
 * hmac("sha256", createSecretKey(Buffer.from("secret")), [timestamp, ".", body], "hex");
 */
export function hmac(
  algorithm: HmacAlgorithm,
  key: KeyObject,
  content: readonly (string | Buffer)[],
  encoding: "hex" | "base64",
): string {
  const { block, digest } = SIZES[algorithm];
  const pads = findPads(algorithm, key);
  let end = pads.inner.copy(scratch);
  for (const part of content) {
    const bytes = typeof part === "string" ? Buffer.byteLength(part) : part.length;
    if (end + bytes > scratch.length) return hmacOfLarge(algorithm, key, content, encoding);
    end += typeof part === "string" ? scratch.write(part, end) : part.copy(scratch, end);
  }
  // As text of one character per byte: a small buffer costs more.
  const inner = hash(algorithm, scratch.subarray(0, end), "binary");
  pads.outer.write(inner, block, digest, "latin1");
  return hash(algorithm, pads.outer, encoding);
}

function hmacOfLarge(
  algorithm: HmacAlgorithm,
  key: KeyObject,
  content: readonly (string | Buffer)[],
  encoding: "hex" | "base64",
): string {
  const whole = createHmac(algorithm, key);
  for (const part of content) whole.update(part);
  return whole.digest(encoding);
}

function findPads(algorithm: HmacAlgorithm, key: KeyObject): Pads {
  const known = padsOf[algorithm].get(key);
  if (known !== undefined) return known;
  const { block, digest } = SIZES[algorithm];
  const given = key.export();
  const bytes = given.length > block ? hash(algorithm, given, "buffer") : given;
  const inner = Buffer.alloc(block, 0x36);
  const outer = Buffer.alloc(block + digest, 0x5c);
  for (const [index, byte] of bytes.entries()) {
    inner[index] = byte ^ 0x36;
    outer[index] = byte ^ 0x5c;
  }
  const pads = { inner, outer };
  padsOf[algorithm].set(key, pads);
  return pads;
}
