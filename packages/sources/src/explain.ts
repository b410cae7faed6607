import { parseTime } from "@penstock/schemas";
import { bodyVariants } from "./body-variants.ts";
import { isEncoded } from "./content-encoding.ts";
import type { SignedRequest, Source, Verification } from "./define-source.ts";
import type { NamedSource } from "./define-sources.ts";
import { signaturesIn } from "./verification.ts";
import { MAX_SIGNATURES } from "./verify-hmac.ts";

/** A request as it was saved: what `verify` would get, and the headers one by one. */
export interface SavedRequest extends Omit<SignedRequest, "header"> {
  /** By name in lower case. */
  readonly headers: ReadonlyMap<string, string>;
}

/** A source with its live secrets. */
export interface SourceWithSecrets extends NamedSource {
  readonly secrets: readonly string[];
}

/** Why a request is accepted or refused. `reason` is what logs and counters say. */
export interface Explanation {
  readonly ok: boolean;
  readonly reason: Exclude<Verification, { ok: true }>["reason"] | "content-encoding" | null;
  /** In which place of the list the secret is that fits, from 1; `null` where none does as it stands. */
  readonly secret: number | null;
  /** Sentences, the most important first. No secret, and nothing of the body, is in them. */
  readonly findings: readonly string[];
}

/** Another way to read the same request, and what it means when this one is right. */
interface Variant {
  readonly request: SavedRequest;
  readonly secrets: readonly string[];
  readonly finding: (secretIndex: number) => string;
}

/**
 * Says why a source accepts or refuses a saved request. It asks `verify`, again and again: with other secrets, with the
 * signature in another encoding, with the body as it may have been before something changed it. So it works for every
 * source, also for one of your own, and knows nothing of any provider.
 */
export function explainVerification(
  { source, name, secretsFrom, secrets }: SourceWithSecrets,
  request: SavedRequest,
  now: number,
  others: readonly SourceWithSecrets[] = [],
): Explanation {
  const encoding = request.headers.get("content-encoding");
  if (isEncoded(encoding)) {
    const finding = `Content-Encoding is ${encoding}, and encoded bodies are not taken: have the sender, or the proxy that encodes it, hand on the body as it was signed`;
    return { ok: false, reason: "content-encoding", secret: null, findings: [finding] };
  }
  const { verification, missing, asked } = trace(source, request, secrets, now);
  if (verification.ok) {
    const { secretIndex } = verification;
    return accepted(secretIndex, `it is signed with secret ${secretIndex + 1} of ${secrets.length} in ${secretsFrom}`);
  }
  const { reason } = verification;
  const refused = (...findings: string[]): Explanation => ({ ok: false, reason, secret: null, findings });
  const rightFor = others.filter((other) => fits(other.source, request, other.secrets, now) !== null);
  const elsewhere = rightFor.map((other) => `it is right for source ${other.name}: it was sent to the wrong URL`);

  if (reason === "verify-failed") {
    return refused(`the code of ${name} threw while it verified: see \`verify\` of its definition`, ...elsewhere);
  }
  if (reason === "timestamp-out-of-tolerance") {
    const secretIndex = fits(source, request, secrets, now) ?? 0;
    return { ...refused(describeTime(timesIn(asked)[0], now)), secret: secretIndex + 1 };
  }
  if (reason === "missing-signature") {
    const names = [...request.headers.keys()].toSorted().join(", ") || "none";
    return refused(
      `${missing.length === 0 ? "a header, or a field of the body that vouches for it," : `the header ${missing.join(" and ")}`} is missing or empty`,
      ...elsewhere,
      `the request has these headers: ${names}`,
    );
  }
  if (elsewhere.length > 0) return refused(...elsewhere);
  const signatures = [...asked.keys()];
  if (reason === "malformed-signature") {
    for (const name of signatures) {
      const finding = describeForm(source, request, secrets, now, name);
      if (finding !== null) return refused(finding);
    }
  }
  for (const variant of variants(request, secrets, signatures, others)) {
    const secretIndex = fits(source, variant.request, variant.secrets, now);
    if (secretIndex !== null) return refused(variant.finding(secretIndex));
  }
  return refused(
    reason === "malformed-signature"
      ? `${signatures.join(" and ")} has not the form that ${source.provider} sends: another encoding, another prefix, or cut short`
      : `no secret in ${secretsFrom} makes this signature: is it the secret of this very webhook? (${secrets.length} tried)`,
    "also tried: the secret without its prefix, decoded, and of other sources; the signature in other encodings; the body with other line ends, parsed and serialised again; the URL with the host of X-Forwarded-Host, and without its port, its query or the slash at its end",
    ...(asked.has("host")
      ? ["the signature covers the URL that was entered at the provider: set the option `url` to it, with its scheme"]
      : []),
  );
}

function accepted(secretIndex: number, ...findings: string[]): Explanation {
  return { ok: true, reason: null, secret: secretIndex + 1, findings };
}

/** Which secret makes the signature, whenever it was made; `null`: none does. */
function fits(source: Source, request: SavedRequest, secrets: readonly string[], now: number): number | null {
  const { verification, asked } = trace(source, request, secrets, now);
  if (verification.ok) return verification.secretIndex;
  if (verification.reason !== "timestamp-out-of-tolerance") return null;
  // It is right but old: which secret it is, the time of the signature tells.
  for (const signedAt of timesIn(asked)) {
    const again = source.verify(toSigned(request), secrets, signedAt);
    if (again.ok) return again.secretIndex;
  }
  return 0;
}

/** Has it verified, and notes which headers it asks for: those that are there, with what they hold, and those that are not. */
function trace(
  source: Source,
  request: SavedRequest,
  secrets: readonly string[],
  now: number,
): { verification: Verification; asked: ReadonlyMap<string, string>; missing: readonly string[] } {
  const asked = new Map<string, string>();
  const missing: string[] = [];
  const header = (name: string): string | undefined => {
    const value = request.headers.get(name);
    if (value) asked.set(name, value);
    else missing.push(name);
    return value;
  };
  const verification = source.verify({ ...toSigned(request), header }, secrets, now);
  return { verification, asked, missing };
}

function toSigned({ headers, body, url }: SavedRequest): SignedRequest {
  return { header: (name) => headers.get(name), body, url };
}

/** The times that the headers hold, in milliseconds: those first whose name tells that it is a time. */
function timesIn(asked: ReadonlyMap<string, string>): number[] {
  const isNamed = ([name]: readonly [string, string]): number => (/time/.test(name) ? 0 : 1);
  return [...asked]
    .toSorted((one, other) => isNamed(one) - isNamed(other))
    .flatMap(([, value]) => [value, ...signaturesIn(value, "t="), ...signaturesIn(value, "ts=")])
    .flatMap((text) => parseTime(text)?.getTime() ?? []);
}

function describeTime(signedAt: number | undefined, now: number): string {
  const when = signedAt === undefined ? "at another time" : `at ${new Date(signedAt).toISOString()}`;
  return `the signature is right, but was made ${when} and is judged at ${new Date(now).toISOString()}, which is more than the tolerance: name the time of receipt if the request was saved then; else a clock is wrong, or it was held up on its way`;
}

/** What is wrong with the form of one header, where it is not that of a signature; `null`: nothing that can be told. */
function describeForm(
  source: Source,
  request: SavedRequest,
  secrets: readonly string[],
  now: number,
  name: string,
): string | null {
  const value = request.headers.get(name) ?? "";
  const count = signaturesIn(value).length;
  if (count > MAX_SIGNATURES) return `${name} holds ${count} signatures: more than ${MAX_SIGNATURES} are not looked at`;
  const headers = new Map(request.headers).set(name, String(Math.floor(now / 1_000)));
  const { verification } = trace(source, { ...request, headers }, secrets, now);
  if (!verification.ok && verification.reason === "malformed-signature") return null;
  return parseTime(value) === null
    ? `the time in ${name} cannot be read: it has to be a number, or a time with its zone`
    : `the time in ${name} has not the form that ${source.provider} sends: seconds since 1970`;
}

function* variants(
  request: SavedRequest,
  secrets: readonly string[],
  signatures: readonly string[],
  others: readonly SourceWithSecrets[],
): Generator<Variant> {
  for (const [how, of] of SECRET_VARIANTS) {
    const finding = (at: number): string => `secret ${at + 1} would be right ${how}: that is how it has to be set`;
    yield { request, secrets: secrets.map(of), finding };
  }
  for (const [at, secret] of secrets.entries()) {
    if (!secret.includes(",")) continue;
    const finding = (): string =>
      `secret ${at + 1} holds a comma, and one of its parts would be right: several secrets go one per line, or as a JSON list (["new","old"])`;
    yield { request, secrets: secret.split(",").map((part) => part.trim()), finding };
  }
  for (const other of others) {
    const finding = (at: number): string =>
      `it is signed with secret ${at + 1} of source ${other.name} (${other.secretsFrom})`;
    yield { request, secrets: other.secrets, finding };
  }
  for (const name of signatures) {
    const headers = new Map(request.headers);
    headers.delete(name);
    const finding = (at: number): string =>
      `the signature in ${name} counts and is wrong; the one in another header, made with secret ${at + 1}, would be right`;
    yield { request: { ...request, headers }, secrets, finding };
  }
  for (const name of signatures) {
    for (const [how, value] of signatureVariants(request.headers.get(name) ?? "")) {
      const headers = new Map(request.headers).set(name, value);
      const finding = (): string =>
        `the signature in ${name} would be right ${how}: the sender, or something on the way, writes it in another way`;
      yield { request: { ...request, headers }, secrets, finding };
    }
  }
  for (const [how, body] of bodyVariants(request.body)) {
    const finding = (): string =>
      `the body was changed after it was signed: the signature is right for it ${how}. Hand on, and save, the exact bytes`;
    yield { request: { ...request, body }, secrets, finding };
  }
  for (const [how, changed] of urlVariants(request)) {
    const finding = (): string => `the signature is right for another URL: ${how}`;
    yield { request: changed, secrets, finding };
  }
}

const SECRET_VARIANTS: readonly (readonly [string, (secret: string) => string])[] = [
  ["without quotes", (secret) => secret.replace(/^(["'])(.*)\1$/, "$2")],
  ["without its prefix", (secret) => secret.replace(/^[a-z]+_/, "")],
  ["with `whsec_` in front", (secret) => `whsec_${secret}`],
  ["with a newline at its end", (secret) => `${secret}\n`],
  ["decoded from base64", (secret) => Buffer.from(secret.replace(/^[a-z]+_/, ""), "base64").toString()],
  ["decoded from hex", (secret) => Buffer.from(secret, "hex").toString()],
  ["in lower case", (secret) => secret.toLowerCase()],
];

function signatureVariants(value: string): (readonly [string, string])[] {
  const [, prefix = "", bare = ""] = /^((?:[A-Za-z0-9_-]{1,10}[=:, ])?)(.*)$/s.exec(value.trim()) ?? [];
  const found: (readonly [string, string])[] = [["without blanks around it", value.trim()]];
  const isHex = /^(?:[0-9A-Fa-f]{2})+$/.test(bare);
  // The padding of base64 looks like the end of a prefix.
  const texts = new Map([
    [bare, prefix],
    [value.trim(), ""],
  ]);
  for (const [text, front] of texts) {
    const bytes = isHex ? Buffer.from(text, "hex") : Buffer.from(text, "base64");
    for (const [form, encoded] of [
      ["", text],
      [" in base64", bytes.toString("base64")],
      [" in hex", bytes.toString("hex")],
    ] as const) {
      for (const start of new Set([front, "", "sha256=", "sha1=", "sha512=", "v0=", "v1=", "v1,"])) {
        found.push([`${start === "" ? "without a prefix" : `with the prefix \`${start}\``}${form}`, start + encoded]);
      }
    }
  }
  return found;
}

function* urlVariants(request: SavedRequest): Generator<readonly [string, SavedRequest]> {
  const host = request.headers.get("host") ?? "";
  const proxied = request.headers.get("x-forwarded-host");
  const withHost = (value: string): SavedRequest => ({
    ...request,
    headers: new Map(request.headers).set("host", value),
  });
  if (proxied !== undefined) yield ["with the host of X-Forwarded-Host", withHost(proxied)];
  yield ["with the host without its port", withHost(host.replace(/:\d+$/, ""))];
  const [path = "", query] = request.url.split(/\?(.*)/s);
  const rest = query === undefined ? "" : `?${query}`;
  yield ["with a slash at the end of its path", { ...request, url: `${path}/${rest}` }];
  yield ["without the slash at the end of its path", { ...request, url: path.replace(/\/$/, "") + rest }];
  yield ["without its query", { ...request, url: path }];
}
