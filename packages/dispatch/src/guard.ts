import { lookup as systemLookup, Resolver } from "node:dns/promises";
import { isIP, type LookupFunction } from "node:net";
import { callbackify } from "node:util";
import { type AddressRule, createAllowList, denial } from "./addresses.ts";

export interface GuardOptions {
  /**
   * Networks (CIDR) and addresses that are delivered to although they are not public; none unless given. `http:` and
   * any port are allowed to these. A cloud's metadata service is allowed only by its own address.
   */
  readonly allow?: readonly string[];
  /** The ports that public addresses are delivered to; 443 and 8443 unless given. */
  readonly ports?: readonly number[];
  /**
   * Asked for names; the DNS servers of the system unless given. Not `getaddrinfo`, which takes one of few threads for
   * as long as a name server keeps silent: four names of somebody's choice could hold up those of all others.
   */
  readonly resolver?: Pick<Resolver, "resolve4" | "resolve6">;
}

/** Which rule a URL or an address breaks. */
export type Rule =
  "malformed" | "too-long" | "scheme" | "credentials" | "host" | "local-name" | "port" | "unresolvable" | AddressRule;

export interface Refusal {
  readonly rule: Rule;
  /** Says what is wrong and what to do. Quotes host names and addresses only: the rest of a URL can be a secret. */
  readonly message: string;
}

export interface ResolvedAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

type Outcome<T> = ({ readonly ok: true } & T) | ({ readonly ok: false } & Refusal);

/** What a guard's `lookup` fails with; `code` is REFUSED_ADDRESS, or what DNS said (`ENOTFOUND`). */
export class RefusedAddressError extends Error {
  readonly code: string;
  readonly rule: Rule;

  constructor({ rule, message, code = "REFUSED_ADDRESS" }: Refusal & { code?: string }) {
    super(message);
    this.code = code;
    this.rule = rule;
  }
}

/** Decides where Penstock sends requests: when an endpoint is saved, tested and delivered to. */
export interface Guard {
  /** Judges what can be judged without DNS: the syntax, the scheme, the port, and hosts that are addresses. */
  checkUrl(url: string): Outcome<{ readonly url: URL }>;
  /** The addresses of a name, of which each must be public, or allowed. */
  resolve(hostname: string): Promise<Outcome<{ readonly addresses: readonly ResolvedAddress[] }>>;
  /** Both. Whoever connects later must do so by `lookup`: a name may have another address by then. */
  check(url: string): Promise<Outcome<{ readonly url: URL; readonly addresses: readonly ResolvedAddress[] }>>;
  /** The `lookup` for `net.connect` and `tls.connect`: hands over addresses that were judged, or a `RefusedAddressError`. */
  readonly lookup: LookupFunction;
  /** The same where only allowed addresses will do: for `http:` and for ports that are not listed. */
  readonly lookupAllowed: LookupFunction;
  /** Whether this scheme and port (`""` for the scheme's own) are left to allowed addresses. */
  needsAllowed(protocol: string, port: string): boolean;
  /** Judges one address. Sockets ask no `lookup` about a host that is an address. */
  checkAddress(address: string, needsAllowed: boolean): Outcome<object>;
}

const MAX_URL_LENGTH = 2_048;
/** Names that have a meaning inside one network only (RFC 6761, 6762, 8375, ICANN's .internal), and those without a dot. */
const LOCAL_NAME = /(?:^|\.)(?:local|localdomain|internal|home\.arpa)$|^[^.]+$/;
const LOCALHOST = /(?:^|\.)localhost$/;
const HOST_NAME =
  /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
const ALLOW_HINT = "An operator can allow its network, where that is meant";

/**
 * @example
 * const guard = createGuard();
 * guard.checkUrl("https://127.0.0.1/hook"); // { ok: false, rule: "loopback", message: … }
 * await guard.check("https://example.com/hook"); // { ok: true, url, addresses }
 */
export function createGuard({
  allow = [],
  ports = [443, 8443],
  resolver = new Resolver({ timeout: 1_500, tries: 2 }),
}: GuardOptions = {}): Guard {
  const isAllowed = createAllowList(allow);

  function needsAllowed(protocol: string, port: string): boolean {
    return protocol !== "https:" || !ports.includes(port === "" ? 443 : Number(port));
  }

  function checkAddress(address: string, allowedOnly: boolean): Outcome<object> {
    if (isAllowed(address)) return { ok: true };
    const found = denial(address);
    if (found) {
      return refuse(found.rule, `${address} is ${found.what}: only public addresses are delivered to. ${ALLOW_HINT}.`);
    }
    if (!allowedOnly) return { ok: true };
    return refuse("port", `${address} is public: only https and the ports ${ports.join(", ")} lead there.`);
  }

  function checkUrl(text: string): Outcome<{ url: URL }> {
    if (text.length > MAX_URL_LENGTH) return refuse("too-long", `A URL has at most ${MAX_URL_LENGTH} characters.`);
    // What URL would pass over or read as something else.
    // oxlint-disable-next-line no-control-regex
    if (/[\u0000-\u0020\u007f\\]/.test(text)) {
      return refuse("malformed", "The URL holds a space, a line break, a backslash or the like: remove it.");
    }
    const url = URL.parse(text);
    if (url === null) return refuse("malformed", "This is not a URL: write it as https://example.com/path.");
    if (url.protocol !== "https:" && url.protocol !== "http:") {
      return refuse("scheme", `${url.protocol} is no way to deliver: the URL must begin with https://.`);
    }
    const [, authority] = /^https?:\/\/([^/?#]+)/i.exec(text) ?? [];
    if (authority === undefined)
      return refuse("malformed", "The URL has no host: write it as https://example.com/path.");
    if (authority.includes("@")) {
      return refuse("credentials", "The URL holds credentials or an @ before its host: deliveries are signed instead.");
    }
    const { hostname, protocol, port } = url;
    const address = addressOf(hostname);
    if (address === undefined && !HOST_NAME.test(hostname)) {
      return refuse(
        "host",
        "The host is no name that DNS could have: letters, digits, - and _, and no dot at the end.",
      );
    }
    const allowedOnly = needsAllowed(protocol, port);
    if (address !== undefined) {
      const judged = checkAddress(address, false);
      if (!judged.ok) return judged;
      if (isAllowed(address)) return { ok: true, url };
    } else {
      if (LOCALHOST.test(hostname) && loopback().length === 0) {
        return refuse("loopback", `${hostname} is this machine: only public hosts are delivered to. ${ALLOW_HINT}.`);
      }
      // With an allow-list, what a name leads to decides, once it is resolved.
      if (allow.length > 0) return { ok: true, url };
      if (LOCAL_NAME.test(hostname)) {
        return refuse("local-name", `${hostname} is a name inside one network: only public hosts are delivered to.`);
      }
    }
    return allowedOnly ? refuseOrigin(protocol, port) : { ok: true, url };
  }

  function refuseOrigin(protocol: string, port: string): { ok: false } & Refusal {
    return protocol === "https:"
      ? refuse("port", `Port ${port} is not delivered to: use ${ports.join(" or ")}.`)
      : refuse("scheme", "http: is not encrypted: the URL must begin with https://.");
  }

  async function resolve(
    hostname: string,
    allowedOnly = false,
  ): Promise<Outcome<{ addresses: readonly ResolvedAddress[] }> & { code?: string }> {
    const address = addressOf(hostname);
    const asked = address === undefined ? await ask(hostname) : [toResolved(address)];
    if (!Array.isArray(asked)) {
      return {
        ...refuse("unresolvable", `${hostname} has no address (${asked.code}): is it written right?`),
        code: asked.code,
      };
    }
    for (const one of asked) {
      const judged = checkAddress(one.address, allowedOnly);
      if (!judged.ok) {
        const says = address === undefined ? `${hostname} leads to ${one.address}: ` : "";
        return { ...judged, message: `${says}${judged.message}` };
      }
    }
    return { ok: true, addresses: asked };
  }

  /** The addresses of a name as they are, IPv4 first, or why there are none. */
  async function ask(hostname: string): Promise<ResolvedAddress[] | { code: string }> {
    // RFC 6761: never a question for DNS. Of the two addresses, one may be allowed alone.
    if (LOCALHOST.test(hostname)) {
      const allowed = loopback();
      return (allowed.length > 0 ? allowed : LOOPBACK).map(toResolved);
    }
    const [v4, v6] = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
    const found = [v4, v6].flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
    if (found.length > 0) return found.map(toResolved);
    const codes = [v4, v6].map((answer) => (answer.status === "rejected" ? codeOf(answer.reason) : "ENODATA"));
    const code = codes.find((one) => one !== "ENODATA") ?? "ENOTFOUND";
    // Only what DNS does not know, or where there is none: what keeps DNS waiting would keep a thread waiting, too.
    if (allow.length === 0 || !["ENOTFOUND", "ECONNREFUSED"].includes(code)) return { code };
    // Host files and search domains are for names inside a network.
    try {
      return (await systemLookup(hostname, { all: true })).map(({ address }) => toResolved(address));
    } catch (error) {
      return { code: codeOf(error) };
    }
  }

  function loopback(): string[] {
    return LOOPBACK.filter(isAllowed);
  }

  /** For a socket, which may want addresses of one family; never none. */
  async function lookUp(hostname: string, family: number, allowedOnly: boolean): Promise<ResolvedAddress[]> {
    const resolved = await resolve(hostname, allowedOnly);
    if (!resolved.ok) throw new RefusedAddressError(resolved);
    const addresses = resolved.addresses.filter((one) => family === 0 || one.family === family);
    if (addresses.length > 0) return addresses;
    const message = `${hostname} has no IPv${family} address.`;
    throw new RefusedAddressError({ rule: "unresolvable", message, code: "ENOTFOUND" });
  }

  function createLookup(allowedOnly: boolean): LookupFunction {
    const answer = callbackify(lookUp);
    return (hostname, { family = 0, all }, callback) => {
      answer(hostname, Number(String(family).replace("IPv", "")), allowedOnly, (error, addresses) => {
        if (error) callback(error, []);
        else if (all) callback(null, addresses);
        else callback(null, addresses[0]?.address ?? "", addresses[0]?.family);
      });
    };
  }

  return {
    checkUrl,
    resolve: (hostname) => resolve(hostname),
    async check(text) {
      const checked = checkUrl(text);
      if (!checked.ok) return checked;
      const { hostname, protocol, port } = checked.url;
      const resolved = await resolve(hostname, needsAllowed(protocol, port));
      if (resolved.ok) return { ok: true, url: checked.url, addresses: resolved.addresses };
      // Public, but by http: or another port: that is what is wrong with the URL.
      return resolved.rule === "port" ? refuseOrigin(protocol, port) : resolved;
    },
    lookup: createLookup(false),
    lookupAllowed: createLookup(true),
    needsAllowed,
    checkAddress,
  };
}

const LOOPBACK = ["127.0.0.1", "::1"];

function refuse(rule: Rule, message: string): { ok: false } & Refusal {
  return { ok: false, rule, message };
}

/** A host that is an address, without the brackets of IPv6. */
function addressOf(hostname: string): string | undefined {
  const bare = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
  return isIP(bare) === 0 ? undefined : bare;
}

function toResolved(address: string): ResolvedAddress {
  return { address, family: address.includes(":") ? 6 : 4 };
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "UNKNOWN";
}
