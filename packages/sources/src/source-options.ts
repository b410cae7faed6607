import { parseDuration } from "@penstock/schemas";

/** What can be set for one instance of any provider. */
export interface SourceOptions {
  /** The environment variable that holds its secrets; made of its name unless given: `STRIPE_EU_SIGNING_SECRETS`. */
  readonly secretsFrom?: string;
  /** The largest body that it takes, in bytes; MAX_BODY_BYTES unless given. */
  readonly maxBodyBytes?: number;
  /** Accepted requests per second before it gets 429, 0 for no limit; INGEST_SOURCE_RATE unless given. */
  readonly ratePerSecond?: number;
  /** How long its events are kept, in days; RETENTION_DAYS unless given. */
  readonly retentionDays?: number;
  /**
   * How long events of some types are kept, in days, by type or by how it begins: `{ "typing.*": 1, "order.paid": 400 }`. The closest
   * pattern decides. What comes in one day is rewritten when a part of it goes, so a few terms cost less than many.
   */
  readonly retention?: Readonly<Record<string, number>>;
  /**
   * How long it may send nothing before it counts as silent, e.g. `30m`, `26h` or `3d`, from a minute to 365 days; `false`: for
   * as long as it likes. Learnt from what it sent in the weeks before unless given.
   */
  readonly silentAfter?: string | false;
  /**
   * Whether the provider changes the body from one delivery of an event to the next, so that its id alone tells a duplicate;
   * what is known of the provider unless given.
   */
  readonly bodyVaries?: boolean;
  /**
   * Whether the bodies of requests that were refused may be kept, the last ones and short ones, for operators to look at; else
   * their hash is. Nobody vouches for what stands in them. False unless given.
   */
  readonly keepsRefusedBodies?: boolean;
  /**
   * Further headers that are kept with each event, for operators to look at, beside `user-agent`, `content-type` and what is
   * known of the provider. `false`: nothing is kept of how a request came, neither headers nor which secret verified it.
   */
  readonly keepsHeaders?: readonly string[] | false;
  /**
   * Fields of the body that are masked wherever people look at it, until they ask to see them, and in messages of errors, e.g.
   * `data.from`: names with dots between them, of a form its names. What is below a field and all items of a list are meant, too.
   */
  readonly sensitive?: readonly string[];
}

/** The same, checked; `null` is what was not given. */
export interface SourceSettings {
  /** Whether an event that is sent again can come with another body, so that its id alone tells that it is the same. */
  readonly bodyVaries: boolean;
  readonly keepsRefusedBodies: boolean;
  /** In lower case; none: nothing is kept of how a request came. */
  readonly keptHeaders: readonly string[];
  /** The paths of fields that are masked. */
  readonly sensitive: readonly (readonly string[])[];
  readonly secretsFrom: string | null;
  readonly maxBodyBytes: number | null;
  readonly ratePerSecond: number | null;
  readonly retentionDays: number | null;
  readonly retention: Readonly<Record<string, number>>;
  /** In milliseconds; `null`: learnt from what it sent, `false`: never. */
  readonly silentAfterMs: number | false | null;
  /** All that is wrong with the options, each as a sentence that names the option and never its value. */
  readonly problems: readonly string[];
}

interface Range {
  readonly min: number;
  readonly max: number;
}

const NUMBERS = {
  maxBodyBytes: { min: 1_024, max: 64 * 1_048_576 },
  ratePerSecond: { min: 0, max: 1_000_000 },
  retentionDays: { min: 1, max: 36_500 },
} satisfies Record<string, Range>;

const COMMON = [
  "secretsFrom",
  ...Object.keys(NUMBERS),
  "retention",
  "silentAfter",
  "bodyVaries",
  "keepsRefusedBodies",
  "keepsHeaders",
  "sensitive",
];

/** What a provider says of itself. */
interface Provider {
  /** The names of options that the provider checks itself. */
  readonly options?: readonly string[];
  readonly problems?: readonly string[];
  readonly bodyVaries?: boolean;
  readonly keepsHeaders?: readonly string[];
}

/** Kept of every source. */
const SAFE_HEADERS = ["user-agent", "content-type"];
const HEADER = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/;
/** What lets somebody in must not be stored in clear. */
const SECRET_HEADER = /auth|cookie|signature(?!-timestamp)|secret|(?<!idempotency-)token|password|api-?key|hmac/i;

/** Whether a header is kept with an event where it is asked for. */
export const isKeepable = (name: string): boolean => HEADER.test(name) && !SECRET_HEADER.test(name);

/** Reads the options that every source has. */
export function readOptions(options: SourceOptions, provider: Provider = {}): SourceSettings {
  const { options: own = [], problems = [], bodyVaries = false } = provider;
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    return readOptions({}, { ...provider, problems: [...problems, "its options must be an object"] });
  }
  const known = [...own, ...COMMON];
  const unknown = Object.keys(options).filter((key) => !known.includes(key));
  const { secretsFrom = null } = options;
  const number = (name: keyof typeof NUMBERS): number | null => options[name] ?? null;
  return {
    secretsFrom,
    bodyVaries: options.bodyVaries ?? bodyVaries,
    keepsRefusedBodies: options.keepsRefusedBodies ?? false,
    keptHeaders: toKeptHeaders(options.keepsHeaders, provider.keepsHeaders),
    sensitive: Object.freeze(isSensitive(options.sensitive) ? options.sensitive.map((path) => path.split(".")) : []),
    maxBodyBytes: number("maxBodyBytes"),
    ratePerSecond: number("ratePerSecond"),
    retentionDays: number("retentionDays"),
    retention: Object.freeze({ ...options.retention }),
    silentAfterMs: toSilentAfterMs(options.silentAfter),
    problems: Object.freeze([
      ...unknown.map((key) => `there is no option \`${key}\`; there are ${known.join(", ")}`),
      ...problems,
      ...(secretsFrom === null || isVariable(secretsFrom)
        ? []
        : ["`secretsFrom` must be the name of an environment variable: capital letters, digits and underscores"]),
      ...(options.bodyVaries === undefined || typeof options.bodyVaries === "boolean"
        ? []
        : ["`bodyVaries` must be true or false"]),
      ...(options.keepsRefusedBodies === undefined || typeof options.keepsRefusedBodies === "boolean"
        ? []
        : ["`keepsRefusedBodies` must be true or false"]),
      ...checkHeaders(options.keepsHeaders),
      ...checkHeaders(provider.keepsHeaders),
      ...Object.entries(NUMBERS).flatMap(([name, range]) =>
        checkNumber(name, options[name as keyof typeof NUMBERS], range),
      ),
      ...checkRetention(options.retention),
      ...checkSilentAfter(options.silentAfter),
      ...(options.sensitive === undefined || isSensitive(options.sensitive)
        ? []
        : [
            '`sensitive` must be a list of paths such as "data.from": names with dots between them, no numbers of items',
          ]),
    ]),
  };
}

function checkRetention(retention: unknown): string[] {
  if (retention === undefined) return [];
  const isFine =
    typeof retention === "object" &&
    retention !== null &&
    Object.entries(retention).every(
      ([pattern, days]) =>
        /^[^*]*\*?$/.test(pattern) &&
        pattern !== "" &&
        checkNumber("retention", days, NUMBERS.retentionDays).length === 0,
    );
  if (isFine) return [];
  return [
    '`retention` must be days by type, as in { "message.*": 7 }: whole numbers from 1 to 36500, and a * at the end of a type only',
  ];
}

const SILENT_AFTER = { min: 60_000, max: 365 * 86_400_000 } satisfies Range;

function toSilentAfterMs(given: unknown): number | false | null {
  if (given === false) return false;
  return typeof given === "string" ? (parseDuration(given) ?? null) : null;
}

function checkSilentAfter(given: unknown): string[] {
  if (given === undefined || given === false) return [];
  const ms = toSilentAfterMs(given);
  const isFine = typeof ms === "number" && ms >= SILENT_AFTER.min && ms <= SILENT_AFTER.max;
  return isFine ? [] : ["`silentAfter` must be a length of time from 1m to 365d, e.g. 30m, 26h or 3d, or false"];
}

const isSensitive = (given: unknown): given is readonly string[] =>
  Array.isArray(given) &&
  given.every(
    (path) => typeof path === "string" && path.split(".").every((name) => name !== "" && !/^\d+$|^\s|\s$/.test(name)),
  );

function toKeptHeaders(asked: unknown, ofProvider: readonly string[] = []): readonly string[] {
  if (asked === false) return Object.freeze([]);
  const named: readonly unknown[] = Array.isArray(asked) ? asked : [];
  const names = [...SAFE_HEADERS, ...ofProvider, ...named];
  return Object.freeze([...new Set(names.map((name) => String(name).toLowerCase()))]);
}

function checkHeaders(names: unknown): string[] {
  if (names === undefined || names === false) return [];
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string" && HEADER.test(name))) {
    return ["`keepsHeaders` must be a list of names of headers, or false"];
  }
  return !names.every(isKeepable)
    ? ["`keepsHeaders` must name no header that can hold a secret: no cookie, authorization, token or signature"]
    : [];
}

/** Whether seconds of tolerance, if given, are a number that can be. */
export function checkTolerance(seconds: unknown): string[] {
  return checkNumber("toleranceSeconds", seconds, { min: 0, max: 86_400 });
}

function checkNumber(name: string, value: unknown, { min, max }: Range): string[] {
  if (value === undefined || (Number.isInteger(value) && Number(value) >= min && Number(value) <= max)) return [];
  return [`\`${name}\` must be a whole number from ${min} to ${max}`];
}

function isVariable(text: unknown): boolean {
  return typeof text === "string" && /^[A-Z][A-Z0-9_]*$/.test(text);
}
