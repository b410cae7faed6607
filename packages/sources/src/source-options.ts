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
   * Whether the provider changes the body from one delivery of an event to the next, so that its id alone tells a duplicate;
   * what is known of the provider unless given.
   */
  readonly bodyVaries?: boolean;
  /**
   * Whether the bodies of requests that were refused may be kept, the last ones and short ones, for operators to look at; else
   * their hash is. Nobody vouches for what stands in them. False unless given.
   */
  readonly keepsRefusedBodies?: boolean;
}

/** The same, checked; `null` is what was not given. */
export interface SourceSettings {
  /** Whether an event that is sent again can come with another body, so that its id alone tells that it is the same. */
  readonly bodyVaries: boolean;
  readonly keepsRefusedBodies: boolean;
  readonly secretsFrom: string | null;
  readonly maxBodyBytes: number | null;
  readonly ratePerSecond: number | null;
  readonly retentionDays: number | null;
  readonly retention: Readonly<Record<string, number>>;
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

const COMMON = ["secretsFrom", ...Object.keys(NUMBERS), "retention", "bodyVaries", "keepsRefusedBodies"];

/**
 * Reads the options that every source has. `own` are the names of further ones, which their provider checks itself, and
 * `bodyVaries` is what is known of the provider.
 */
export function readOptions(
  options: SourceOptions,
  own: readonly string[] = [],
  problems: readonly string[] = [],
  bodyVaries = false,
): SourceSettings {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    return readOptions({}, own, [...problems, "its options must be an object"], bodyVaries);
  }
  const known = [...own, ...COMMON];
  const unknown = Object.keys(options).filter((key) => !known.includes(key));
  const { secretsFrom = null } = options;
  const number = (name: keyof typeof NUMBERS): number | null => options[name] ?? null;
  return {
    secretsFrom,
    bodyVaries: options.bodyVaries ?? bodyVaries,
    keepsRefusedBodies: options.keepsRefusedBodies ?? false,
    maxBodyBytes: number("maxBodyBytes"),
    ratePerSecond: number("ratePerSecond"),
    retentionDays: number("retentionDays"),
    retention: Object.freeze({ ...options.retention }),
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
      ...Object.entries(NUMBERS).flatMap(([name, range]) =>
        checkNumber(name, options[name as keyof typeof NUMBERS], range),
      ),
      ...checkRetention(options.retention),
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
