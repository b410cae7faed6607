/** What numbers are drawn for: each has a row of its own, so that one more fault changes nothing about the others. */
const PURPOSES = ["types", "shuffle", "late", "lateness", "bad-signature", "storm", "backoff"] as const;

/**
 * The nth number of a row, from 0 to just below 1, the same for the same seed: whoever draws does not depend on what was
 * drawn before, nor in which order answers come.
 */
export function draw(seed: number, purpose: (typeof PURPOSES)[number], n: number): number {
  let hash = mix(seed ^ mix(PURPOSES.indexOf(purpose) + 1));
  hash = mix(hash ^ mix(n + 1));
  return hash / 2 ** 32;
}

/** The last step of MurmurHash3. */
function mix(value: number): number {
  let hash = value >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
