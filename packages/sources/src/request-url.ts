import type { SignedRequest } from "./define-source.ts";

/**
 * The whole URL that a request was sent to, for signatures that cover it. `given` is what the provider was told, without a
 * query; without it, `https://`, the request's host and its path are taken.
 */
export function urlOf({ url, header }: SignedRequest, given: string | undefined): string {
  const [path = "", query] = url.split(/\?(.*)/s);
  const base = given ?? `https://${header("host") ?? ""}${path}`;
  return query === undefined ? base : `${base}?${query}`;
}

/** The parameters of a request's query. */
export function queryOf({ url }: Pick<SignedRequest, "url">): URLSearchParams {
  return new URLSearchParams(url.split(/\?(.*)/s)[1]);
}

/** What is wrong with the option `url`, if it was given. */
export function checkUrl(url: unknown): string[] {
  const ok = typeof url === "string" && /^https?:\/\/[^?#\s]+$/.test(url) && URL.canParse(url);
  return url === undefined || ok ? [] : ["`url` must be an http or https URL without a query"];
}
