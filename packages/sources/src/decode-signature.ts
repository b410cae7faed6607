/** No form of a signature is longer (`sha256=` and 64 hex digits make 71); longer values are refused unread. */
const MAX_SIGNATURE_LENGTH = 128;

const HEX = /^(?:sha256=)?([0-9A-Fa-f]{64})$/;

/**
 * 32 bytes in base64: 43 characters and at most one padding. The last character carries four bits, so only 16 can be it;
 * allowing the others would make several signatures of one.
 */
const BASE64 = /^[0-9A-Za-z+/]{42}[AEIMQUYcgkosw048]=?$/;

/**
 * The 32 bytes of an HMAC-SHA256 written in hex of either case, with or without `sha256=` in front, or in standard
 * base64, with or without padding; `null` when it is none of these. The forms differ in length: no value has two readings.
 *
 * @example
 * decodeSignature("sha256=" + "0f".repeat(32))?.length; // 32
 */
export function decodeSignature(signature: string): Buffer | null {
  if (signature.length > MAX_SIGNATURE_LENGTH) return null;
  // Checked before it is decoded: Buffer.from skips or stops at what it does not know instead of refusing it.
  const hex = HEX.exec(signature);
  if (hex?.[1] !== undefined) return Buffer.from(hex[1], "hex");
  return BASE64.test(signature) ? Buffer.from(signature, "base64") : null;
}
