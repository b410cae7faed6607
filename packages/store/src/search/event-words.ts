// Which words may stand in a run of events, as a Bloom filter: a search for a rare word reads a few dozen bytes per event
// in place of its body. A filter is never wrong about what is not there.

/** Bits that each word sets. At the fullest that a filter gets, one run in 1,500 is looked at in vain. */
const PROBES = 8;
const MOST_BITS = 16_384;
const LEAST_BITS = 64;
/** A run ends when its filter is so full. */
const FULL = 0.4;
/** One event alone can have so many words that its filter says nothing: it is always looked at. */
const USELESS = 0.8;

/** For each byte the lower case of a letter, digit or underscore, and 0 for what stands between words. */
const FOLDED = Uint8Array.from({ length: 256 }, (_, byte) =>
  /[A-Za-z0-9_]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte).toLowerCase().charCodeAt(0) : 0,
);
const BACKSLASH = 0x5c;
const UNICODE_ESCAPE = 0x75;

/** FNV-1a. */
const START = 0x811c9dc5;
const PRIME = 0x01000193;

/**
 * Calls back with the hash of each word of a text. Words are runs of ASCII letters, digits and underscores, in any case. In
 * JSON an escaped character ends a word, as the character itself does.
 */
export function forEachWord(text: Buffer, isJson: boolean, found: (hash: number) => void): void {
  let hash = START;
  let isInWord = false;
  for (let at = 0; at < text.length; at++) {
    const byte = text[at] as number;
    const folded = FOLDED[byte] as number;
    if (folded !== 0) {
      hash = Math.imul(hash ^ folded, PRIME);
      isInWord = true;
      continue;
    }
    if (isInWord) found(hash);
    hash = START;
    isInWord = false;
    if (isJson && byte === BACKSLASH) at += text[at + 1] === UNICODE_ESCAPE ? 5 : 1;
  }
  if (isInWord) found(hash);
}

/** Whether a body looks like JSON, so that its escapes are none of its text. */
export function looksLikeJson(body: Buffer): boolean {
  for (const byte of body) {
    if (byte > 0x20) return byte === 0x7b || byte === 0x5b || byte === 0x22;
  }
  return false;
}

/** The hash of a property of an event, which is apart from those of words. */
export function hashOfProperty(name: "type" | "source" | "subject", value: string): number {
  let hash = Math.imul(START, PRIME);
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), PRIME);
  hash = Math.imul(hash, PRIME);
  for (let at = 0; at < value.length; at++) hash = Math.imul(hash ^ value.charCodeAt(at), PRIME);
  return hash;
}

/** The places that a hash stands for, before they are cut to the size of a filter. */
export function probesOf(hash: number): number[] {
  const first = mix(hash);
  const distance = mix(hash ^ 0x9e3779b9) | 1;
  return Array.from({ length: PROBES }, (_, nth) => (first + nth * (distance >>> 0)) % 2 ** 32);
}

function mix(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

const RECENT = 512;

/** A filter while it is filled; cleared first. */
export class WordFilter {
  readonly #bytes = new Uint8Array(MOST_BITS / 8);
  /** Words that were added before: most of an event's are those of its neighbours. */
  readonly #recent = new Int32Array(RECENT);
  #ones = 0;

  clear(): void {
    this.#bytes.fill(0);
    this.#recent.fill(0);
    this.#recent[0] = 1; // no word: those of the first place end with nine zeros
    this.#ones = 0;
  }

  readonly add = (hash: number): void => {
    if (this.#recent[hash & (RECENT - 1)] === hash) return;
    this.#recent[hash & (RECENT - 1)] = hash;
    const bytes = this.#bytes;
    // As probesOf, without making an array of each word.
    let probe = mix(hash);
    const distance = mix(hash ^ 0x9e3779b9) | 1;
    let fresh = 0;
    for (let nth = 0; nth < PROBES; nth++) {
      const at = (probe & (MOST_BITS - 1)) >>> 3;
      const byte = bytes[at] as number;
      const set = byte | (1 << (probe & 7));
      if (set !== byte) {
        bytes[at] = set;
        fresh++;
      }
      probe = (probe + distance) | 0;
    }
    this.#ones += fresh;
  };

  get isFull(): boolean {
    return this.#ones > FULL * MOST_BITS;
  }

  /** Bytes as Postgres has them for get_bit; null where they would say nothing. */
  pack(): Buffer | null {
    if (this.#ones > USELESS * MOST_BITS) return null;
    // Sizes are powers of two, so that a filter folds: a place in the small one is the place in the large one, cut.
    let bits = MOST_BITS;
    while (bits > LEAST_BITS && this.#ones < FULL * (bits / 2)) bits /= 2;
    const folded = new Int32Array(bits / 32);
    const whole = new Int32Array(this.#bytes.buffer, this.#bytes.byteOffset, MOST_BITS / 32);
    for (let at = 0; at < whole.length; at++) {
      const to = at & (folded.length - 1);
      folded[to] = (folded[to] as number) | (whole[at] as number);
    }
    return Buffer.from(folded.buffer);
  }
}
