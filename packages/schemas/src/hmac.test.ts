import { createHmac, createSecretKey } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { hmac } from "./hmac.ts";

const algorithms = ["sha1", "sha256", "sha384", "sha512"] as const;

test("it is Node's HMAC, whatever the key and the content", () => {
  const text = fc.string({ unit: "binary" }); // half surrogate pairs among them
  const part = fc.oneof(
    text,
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  );
  // A block is 64 or 128 bytes: a longer key is hashed first.
  const key = fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes) => createSecretKey(bytes));
  fc.assert(
    fc.property(
      fc.constantFrom(...algorithms),
      key,
      fc.array(part, { maxLength: 4 }),
      fc.constantFrom("hex" as const, "base64" as const),
      (algorithm, secret, content, encoding) => {
        const expected = createHmac(algorithm, secret);
        for (const one of content) expected.update(one);
        expect(hmac(algorithm, secret, content, encoding)).toBe(expected.digest(encoding));
      },
    ),
    { numRuns: 1_000 },
  );
});

test.each([32 * 1024 - 1, 32 * 1024, 32 * 1024 + 64, 32 * 1024 + 65, 1024 * 1024])(
  "content of %d bytes, before and beyond what is copied, is signed whole",
  (bytes) => {
    const secret = createSecretKey(Buffer.from("secret"));
    const body = Buffer.alloc(bytes, "webhook");
    for (const algorithm of algorithms) {
      const expected = createHmac(algorithm, secret).update("1.").update(body).digest("hex");
      expect(hmac(algorithm, secret, ["1.", body], "hex")).toBe(expected);
    }
  },
);
