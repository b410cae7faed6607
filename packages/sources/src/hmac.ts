import { hmac as hmacOf, parseTime } from "@penstock/schemas";
import { defineSource, isProvider, type SignedRequest, type Source } from "./define-source.ts";
import { idOfBody } from "./event-key.ts";
import { hmacKey } from "./hmac-key.ts";
import { isJsonObject, textAt } from "./parse-body.ts";
import { checkTolerance, isKeepable, type SourceOptions } from "./source-options.ts";
import { MALFORMED, MISSING, withinTolerance } from "./verification.ts";
import { HMAC_ALGORITHMS, HMAC_ENCODINGS, verifyHmac } from "./verify-hmac.ts";

/** Where something stands: in a header, or in the body's JSON, by a path such as `event.id`. */
export type Place = { readonly header: string } | { readonly field: string };

export interface HmacOptions extends SourceOptions {
  /** Who sends, as it is to stand in front of types: `acme` for `acme.order.paid`. */
  readonly provider: string;
  /** The header that holds the signature. */
  readonly header: string;
  /** sha256 unless given. */
  readonly algorithm?: keyof typeof HMAC_ALGORITHMS;
  /** hex unless given. */
  readonly encoding?: (typeof HMAC_ENCODINGS)[number];
  /** What stands in front of the signature, e.g. `sha256=`; of each one where the header lists several. */
  readonly prefix?: string;
  /** The header that holds the signed time, if there is one: seconds or milliseconds since 1970, or ISO 8601. */
  readonly timestampHeader?: string;
  /** How far the signed time may be from ours; 300 unless given, 0 for any. */
  readonly toleranceSeconds?: number;
  /** What is signed; `{body}` unless given, `{timestamp}.{body}` with a `timestampHeader`, which is taken as it was sent. */
  readonly content?: string;
  /** `{ field: "id" }` unless given, and without one the SHA-256 of the body. */
  readonly id?: Place;
  /** `{ field: "type" }` unless given, and without one `event`. */
  readonly type?: Place;
  /** A number of seconds or milliseconds since 1970, or ISO 8601; `{ field: "createdAt" }` unless given. */
  readonly createdAt?: Place;
}

const OPTIONS = [
  "provider",
  "header",
  "algorithm",
  "encoding",
  "prefix",
  "timestampHeader",
  "toleranceSeconds",
  "content",
  "id",
  "type",
  "createdAt",
];

const HEADER = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;

/**
 * Any provider that signs by HMAC, by configuration alone. `data` is the body's JSON.
 *
 * @example
 * hmac({ provider: "acme", header: "X-Acme-Signature", prefix: "sha256=", type: { header: "X-Acme-Event" } });
 */
export function hmac(options: HmacOptions): Source {
  const problems = checkOptions(options);
  // What is wrong is told at the start, which is then as far as it goes.
  const given = problems.length > 0 ? { provider: "hmac", header: "x-signature" } : options;
  const { provider, algorithm, encoding, prefix = "", toleranceSeconds = 300 }: HmacOptions = given;
  const { id, type, createdAt = { field: "createdAt" } }: HmacOptions = given;
  const header = given.header.toLowerCase();
  const timestampHeader = (given as HmacOptions).timestampHeader?.toLowerCase();
  const content = (given as HmacOptions).content ?? (timestampHeader === undefined ? "{body}" : "{timestamp}.{body}");
  const pieces = content.split(/(\{body\}|\{timestamp\})/);
  const signed = (body: Buffer, timestamp: string): (string | Buffer)[] =>
    pieces.map((piece) => (piece === "{body}" ? body : piece === "{timestamp}" ? timestamp : piece));
  return defineSource(
    {
      provider,
      options: OPTIONS,
      problems,
      keepsHeaders: [id, type, createdAt].flatMap((place) =>
        place && "header" in place && isKeepable(place.header) ? [place.header] : [],
      ),
      verify(request, secrets, now) {
        const timestamp = timestampHeader === undefined ? null : request.header(timestampHeader);
        const sent = request.header(header);
        if (!sent || timestamp === undefined || timestamp === "") return MISSING;
        if (timestamp !== null && parseTime(timestamp) === null) return MALFORMED;
        const verification = verifyHmac(
          {
            signatures: [sent],
            prefix,
            content: signed(request.body, timestamp ?? ""),
            ...(algorithm && { algorithm }),
            ...(encoding && { encoding }),
          },
          secrets,
        );
        return timestamp === null ? verification : withinTolerance(verification, timestamp, toleranceSeconds, now);
      },
      sign(body, secret, now) {
        const time = String(Math.floor(now / 1_000));
        const key = hmacKey(secret);
        const signature = hmacOf(algorithm ?? "sha256", key, signed(body, time), encoding ?? "hex");
        return { [header]: prefix + signature, ...(timestampHeader !== undefined && { [timestampHeader]: time }) };
      },
      signsTime: timestampHeader !== undefined && toleranceSeconds > 0,
      identify(request, data) {
        return {
          id: id ? read(id, request, data) : (read({ field: "id" }, request, data) ?? idOfBody(request.body)),
          type: type ? read(type, request, data) : (read({ field: "type" }, request, data) ?? "event"),
          createdAt: toTime(read(createdAt, request, data)),
        };
      },
    },
    options,
  );
}

/** A number as it stands in the body may have an exponent, which the digits of a time in a header have not. */
function toTime(read: unknown): unknown {
  return typeof read === "string" && /^\d+(?:\.\d+)?[Ee]\+?\d{1,2}$/.test(read) ? Number(read) : read;
}

function read(place: Place, request: SignedRequest, data: unknown): unknown {
  if ("header" in place) return request.header(place.header.toLowerCase());
  return textAt(request.body, data, place.field.split("."));
}

function checkOptions(options: HmacOptions): string[] {
  // Told by defineSource.
  if (typeof options !== "object" || options === null) return ["`provider` and `header` are required"];
  const { provider, header, algorithm, encoding, prefix, timestampHeader, content, id, type, createdAt } = options;
  const unless = (ok: boolean, problem: string): string[] => (ok ? [] : [problem]);
  const isHeader = (value: unknown): boolean => typeof value === "string" && HEADER.test(value);
  const isPlace = (value: unknown): boolean =>
    value === undefined ||
    (isJsonObject(value) &&
      Object.keys(value).length === 1 &&
      (isHeader(value["header"]) || (typeof value["field"] === "string" && value["field"] !== "")));
  const isContent =
    content === undefined ||
    (typeof content === "string" &&
      content.includes("{body}") &&
      content.includes("{timestamp}") === (timestampHeader !== undefined));
  return [
    ...unless(isProvider(provider), "`provider` must be lower-case letters, digits and hyphens"),
    ...unless(isHeader(header), "`header` must be the name of a header"),
    ...unless(
      algorithm === undefined || Object.hasOwn(HMAC_ALGORITHMS, algorithm),
      `\`algorithm\` must be one of ${Object.keys(HMAC_ALGORITHMS).join(", ")}`,
    ),
    ...unless(
      encoding === undefined || HMAC_ENCODINGS.includes(encoding),
      `\`encoding\` must be one of ${HMAC_ENCODINGS.join(", ")}`,
    ),
    ...unless(prefix === undefined || typeof prefix === "string", "`prefix` must be a text"),
    ...unless(
      timestampHeader === undefined || isHeader(timestampHeader),
      "`timestampHeader` must be the name of a header",
    ),
    ...checkTolerance(options.toleranceSeconds),
    ...unless(isContent, "`content` must hold {body}, and {timestamp} exactly where there is a `timestampHeader`"),
    ...unless(isPlace(id), '`id` must be { header: "…" } or { field: "…" }'),
    ...unless(isPlace(type), '`type` must be { header: "…" } or { field: "…" }'),
    ...unless(isPlace(createdAt), '`createdAt` must be { header: "…" } or { field: "…" }'),
  ];
}
