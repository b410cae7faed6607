import { hash, timingSafeEqual } from "node:crypto";

/**
 * Where a text stands in a list of secrets, -1 where it does not. Compares in constant time and always with all of them.
 * An empty secret, which everybody knows, is none.
 */
export function findSecret(text: string, secrets: readonly string[]): number {
  const given = hash("sha256", text, "buffer");
  let found = -1;
  for (const [index, secret] of secrets.entries()) {
    const same = timingSafeEqual(given, hash("sha256", secret, "buffer"));
    if (same && secret !== "" && found === -1) found = index;
  }
  return found;
}
