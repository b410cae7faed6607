import { hash } from "node:crypto";
import { defineSource, type SignedRequest, type Source, type Verification } from "./define-source.ts";
import { type ParsedBody, parseFormBody, parseJsonBody, toObject } from "./parse-body.ts";
import type { SourceOptions } from "./source-options.ts";
import { MISMATCH } from "./verification.ts";
import { verifyHmac } from "./verify-hmac.ts";

export interface TwilioOptions extends SourceOptions {
  /**
   * The URL that Twilio was given, without its query: `https://hooks.example.com/webhooks/twilio`. The signature covers it,
   * so it has to be known where a proxy changes host or path; `https://`, the request's host and its path unless given.
   */
  readonly url?: string;
}

/**
 * Twilio: `X-Twilio-Signature`, an HMAC-SHA1 in base64, keyed with the account's auth token, over the URL with its query
 * and the form's parameters sorted by name; of JSON, over the URL, whose `bodySHA256` then covers the body. Types are
 * `twilio.message`, `twilio.message.delivered` (status callbacks), `twilio.call.ringing`, `twilio.event`. `data` is the
 * form's parameters, or the JSON. The id is `I-Twilio-Idempotency-Token`, else made of the resource's SID and its status.
 *
 * https://www.twilio.com/docs/usage/security#validating-requests
 */
export function twilio(options: TwilioOptions = {}): Source {
  const url = options?.url;
  return defineSource(
    {
      provider: "twilio",
      options: ["url"],
      problems: url === undefined || isUrl(url) ? [] : ["`url` must be an http or https URL without a query"],
      verify: (request, secrets) => verify(request, secrets, url),
      parse,
      identify(request, data) {
        const { MessageSid, SmsSid, MessageStatus, SmsStatus, CallSid, CallStatus } = data;
        const [what, sid, state] = isText(CallSid)
          ? (["call", CallSid, CallStatus] as const)
          : (["message", MessageSid ?? SmsSid, MessageStatus ?? SmsStatus] as const);
        const status = isText(state) && state !== "received" ? `.${state}` : "";
        const known = isText(sid);
        const token = request.header("i-twilio-idempotency-token");
        return {
          id: token ?? (known ? `${sid}${status}` : `sha256-${hash("sha256", request.body, "hex")}`),
          type: known ? `${what}${status}` : "event",
          subjects: [data["From"], data["To"], sid],
        };
      },
    },
    options,
  );
}

function verify(request: SignedRequest, secrets: readonly string[], given: string | undefined): Verification {
  const signatures = [request.header("x-twilio-signature")];
  const [path = "", query] = request.url.split(/\?(.*)/s);
  const base = given ?? `https://${request.header("host") ?? ""}${path}`;
  const bodyHash = new URLSearchParams(query).get("bodySHA256");
  const parameters = bodyHash === null ? toSigned(request.body) : "";
  let verification: Verification = MISMATCH;
  // Some of Twilio's products sign the URL with its port, others without, whatever was entered.
  for (const form of portForms(base)) {
    const content = [query === undefined ? form : `${form}?${query}`, parameters];
    const one = verifyHmac({ signatures, encoding: "base64", algorithm: "sha1", content }, secrets);
    if (!verification.ok) verification = one;
  }
  const bodyMatches = bodyHash === null || hash("sha256", request.body, "hex") === bodyHash.toLowerCase();
  return verification.ok && !bodyMatches ? MISMATCH : verification;
}

/** Names and values, sorted by name, without anything between them; of a name that is there several times, each value once. */
function toSigned(body: Buffer): string {
  const form = toObject(parseFormBody(body)) as Record<string, string | string[]>;
  return Object.keys(form)
    .toSorted()
    .flatMap((name) => [...new Set([form[name] ?? []].flat())].toSorted().map((value) => name + value))
    .join("");
}

function portForms(base: string): string[] {
  const [, scheme = "", host = "", rest = ""] = /^(https?:\/\/)([^/?#]*)(.*)$/s.exec(base) ?? [];
  const bare = host.replace(/:\d+$/, "");
  const port = host === bare ? (scheme === "https://" ? ":443" : ":80") : host.slice(bare.length);
  return [`${scheme}${bare}${rest}`, `${scheme}${bare}${port}${rest}`];
}

function parse(body: Buffer): ParsedBody {
  return body[0] === 0x7b || body[0] === 0x5b ? parseJsonBody(body) : parseFormBody(body);
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function isUrl(text: unknown): boolean {
  return typeof text === "string" && /^https?:\/\/[^?#\s]+$/.test(text) && URL.canParse(text);
}
