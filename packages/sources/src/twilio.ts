import { hash } from "node:crypto";
import { parse as parseQuery, stringify } from "node:querystring";
import { defineSource, type SignedRequest, type Source, type Verification } from "./define-source.ts";
import { idOfBody } from "./event-key.ts";
import { type ParsedBody, parseFormBody, parseJsonBody, toObject } from "./parse-body.ts";
import { checkUrl, queryOf, urlOf } from "./request-url.ts";
import type { SourceOptions } from "./source-options.ts";
import { MISMATCH, MISSING } from "./verification.ts";
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
 * form's parameters, or the JSON.
 *
 * The id is `I-Twilio-Idempotency-Token`, which is not signed. Without one it is made of the resource's SID and its status,
 * and of what else is not about the resource itself, of the URL and the body, too: a call asks several times with one
 * status (`<Gather>`, `<Record>`, `<Dial>`). A request that is sent again has the same body.
 *
 * https://www.twilio.com/docs/usage/security#validating-requests
 */
export function twilio(options: TwilioOptions = {}): Source {
  const url = options?.url;
  return defineSource(
    {
      provider: "twilio",
      options: ["url"],
      problems: checkUrl(url),
      keepsHeaders: ["i-twilio-idempotency-token"],
      verify: (request, secrets) => verify(request, secrets, url),
      parse,
      identify(request, data) {
        const { MessageSid, SmsSid, MessageStatus, SmsStatus, CallSid, CallStatus, Timestamp } = data;
        const [what, sid, state] = isText(CallSid)
          ? (["call", CallSid, CallStatus] as const)
          : (["message", MessageSid ?? SmsSid, MessageStatus ?? SmsStatus] as const);
        const status = isText(state) && state !== "received" ? `.${state}` : "";
        const known = isText(sid);
        const isStatusAlone = isText(state) && (what === "message" || isCallStatus(data));
        return {
          id:
            request.header("i-twilio-idempotency-token") ||
            (!known
              ? idOfBody(request.body)
              : isStatusAlone
                ? sid + status
                : `${sid}${status}.${requestHash(request)}`),
          type: known ? `${what}${status}` : "event",
          createdAt: Timestamp,
          subjects: [data["From"], data["To"], sid],
        };
      },
    },
    options,
  );
}

/** What is said of a call each time that something is said of it. */
const OF_A_CALL =
  /^(?:AccountSid|ParentCallSid|CallSid|CallStatus|CallToken|ApiVersion|Direction|ForwardedFrom|(?:From|To|Caller|Called)(?:Name|Id|City|State|Zip|Country)?|Stir[A-Z]\w*|SipResponseCode|(?:Call)?Duration|Timestamp)$/;

/**
 * Whether a request tells that a call has a status and nothing else. While it is in progress it is asked what to do next,
 * again and again, with nothing but its status, too: that request is no callback of the status, which says what it is.
 */
function isCallStatus(data: Readonly<Record<string, unknown>>): boolean {
  if (data["CallbackSource"] !== undefined) return data["CallbackSource"] === "call-progress-events";
  return data["CallStatus"] !== "in-progress" && Object.keys(data).every((name) => OF_A_CALL.test(name));
}

/** Of what is signed: the next step of a menu may differ in nothing but the URL. */
function requestHash({ url, body }: SignedRequest): string {
  return hash("sha256", Buffer.concat([Buffer.from(`${url}\0`), body]), "hex").slice(0, 32);
}

function verify(request: SignedRequest, secrets: readonly string[], given: string | undefined): Verification {
  const signatures = [request.header("x-twilio-signature")];
  // Before the form is read, which can be long.
  if (!signatures[0]) return MISSING;
  const url = urlOf(request, given);
  const bodyHash = queryOf(request).get("bodySHA256");
  const parameters = bodyHash === null ? toSigned(request.body) : "";
  if (parameters === null) return MISMATCH;
  let verification: Verification = MISMATCH;
  for (const forms of [portForms(url), escapedForms(url)]) {
    for (const form of forms) {
      const claim = { signatures, encoding: "base64", algorithm: "sha1", content: [form, parameters] } as const;
      const one = verifyHmac(claim, secrets);
      if (!verification.ok) verification = one;
    }
    // What is left are forms of URLs, not secrets: the time that they take tells nothing.
    if (verification.ok) break;
  }
  const bodyMatches = bodyHash === null || hash("sha256", request.body, "hex") === bodyHash.toLowerCase();
  return verification.ok && !bodyMatches ? MISMATCH : verification;
}

/** Names and values, sorted by name, without anything between them; of a name that is there several times, each value once; `null` of what is no form. */
function toSigned(body: Buffer): string | null {
  const parsed = parseFormBody(body);
  // Of no parameters the signature of the URL alone would do, with whatever bytes.
  if (!parsed.ok) return null;
  const form = toObject(parsed) as Record<string, string | string[]>;
  return Object.keys(form)
    .toSorted()
    .flatMap((name) => [...new Set([form[name] ?? []].flat())].toSorted().map((value) => name + value))
    .join("");
}

/** Some of Twilio's products sign the URL with its port, others without, whatever was entered. */
function portForms(url: string): readonly string[] {
  const [, scheme = "", userInfo = "", host = "", port = "", rest = ""] = URL_PARTS.exec(url) ?? [];
  if (scheme === "") return [url];
  const given = port === "" ? (scheme.toLowerCase() === "https://" ? ":443" : ":80") : port;
  return [`${scheme}${userInfo}${host}${rest}`, `${scheme}${userInfo}${host}${given}${rest}`];
}

const URL_PARTS = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#]*@)?(\[[^/?#\]]*\]|[^/?#:]*)(:[^/?#]*)?(.*)$/is;

/**
 * Other ways to write the same URL, which some of Twilio's products sign (`'` as `%27`) and Twilio's own library takes: as
 * `new URL` writes it, and with a query as node's `querystring` does. None for what is no URL.
 */
function escapedForms(url: string): readonly string[] {
  if (!URL.canParse(url)) return [];
  const forms = portForms(new URL(url).toString());
  return [...new Set([...forms, ...forms.map(withLegacyQuery)])];
}

function withLegacyQuery(url: string): string {
  const [base = "", query = ""] = url.split(/\?(.*)/s);
  return query === "" ? url : `${base}?${stringify(parseQuery(query))}`;
}

function parse(body: Buffer): ParsedBody {
  return body[0] === 0x7b || body[0] === 0x5b ? parseJsonBody(body) : parseFormBody(body);
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}
