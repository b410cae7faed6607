/** The target of a request line, taken apart. */
export interface RequestTarget {
  /** Path and query. */
  readonly url: string;
  /** The host of a target that is a whole URL, which then counts instead of the Host header (RFC 9112, 3.2.2); else `null`. */
  readonly host: string | null;
}

const WHOLE_URL = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)(.*)$/is;

/**
 * Reads the target of a request line, which is a path and query, or a whole URL.
 *
 * @example
 * readRequestTarget("http://hooks.example.com/webhooks/a?b=c"); // { url: "/webhooks/a?b=c", host: "hooks.example.com" }
 */
export function readRequestTarget(target: string): RequestTarget {
  if (target.startsWith("/")) return { url: target, host: null };
  const [, authority, rest] = WHOLE_URL.exec(target) ?? [];
  if (authority === undefined || rest === undefined) return { url: target, host: null };
  return { url: rest.startsWith("/") ? rest : `/${rest}`, host: authority.slice(authority.lastIndexOf("@") + 1) };
}
