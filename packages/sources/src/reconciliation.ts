import { parseTime } from "@penstock/schemas";

/** What a provider's API has answered, with a status of 2xx. */
export interface ProviderAnswer {
  readonly body: Buffer;
  /** The value of a header; null without one. */
  header(name: string): string | null;
}

/**
 * Asks a provider's API by GET. Whoever hands it in adds the API key, waits where the provider asks for it, and tries again what may
 * be better soon: it throws for good alone.
 */
export type AskProvider = (url: string) => Promise<ProviderAnswer>;

/** The request of an event as its provider would have sent it, but for the signature. */
export interface SentRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** An event that the provider says it has sent, or tried to. */
export interface SentEvent {
  /** As `identify` reads it from the request. */
  readonly id: string;
  /** The provider's own word for its type. */
  readonly type: string;
  readonly createdAt: Date | null;
  request(): Promise<SentRequest>;
}

/** How to ask a provider for what it has sent: for `penstock reconcile`. Makes no request but by what it is handed. */
export interface Reconciliation {
  /** What the API key is, in words that follow "it takes". */
  readonly apiKey: string;
  /** What else has to be set before it can be asked, as a sentence; `null`: nothing. */
  readonly missing: string | null;
  /** The headers of each request. */
  headers(apiKey: string): Readonly<Record<string, string>>;
  /**
   * The events since a time, each once, in any order, page by page as they are asked for.
   *
   * @throws TypeError when an answer is not what the provider documents.
   */
  list(ask: AskProvider, since: Date): AsyncIterable<SentEvent>;
}

/** What is wrong with the address of a provider's API, if it is given: the API key goes there. */
export function checkApiUrl(apiUrl: unknown): string[] {
  const url = typeof apiUrl === "string" ? URL.parse(apiUrl) : null;
  const isHere = url?.hostname === "127.0.0.1" || url?.hostname === "localhost" || url?.hostname === "[::1]";
  if (apiUrl === undefined || url?.protocol === "https:" || (url?.protocol === "http:" && isHere)) return [];
  return ["`apiUrl` must be an https URL"];
}

/** An answer as JSON. @throws TypeError when it is none, or not of this kind. */
export function readJson<T extends "array" | "object">(
  { body }: ProviderAnswer,
  kind: T,
): T extends "array" ? readonly unknown[] : Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    throw new TypeError("the answer of its API is not JSON");
  }
  if (Array.isArray(value) === (kind === "array") && typeof value === "object" && value !== null) return value as never;
  throw new TypeError(`the answer of its API is not the ${kind} that it documents`);
}

/** What an API says of an event in a list. @throws TypeError when it lacks what it is known by. */
export function readListed(
  listed: unknown,
  fields: { readonly id: string; readonly type: string; readonly at: string },
) {
  const of = (listed ?? {}) as Readonly<Record<string, unknown>>;
  const [id, type] = [of[fields.id], of[fields.type]];
  if (typeof id !== "string" || typeof type !== "string") {
    throw new TypeError(`the list of its API holds an event without ${fields.id} or ${fields.type}`);
  }
  return { id, type, createdAt: parseTime(of[fields.at]) };
}
