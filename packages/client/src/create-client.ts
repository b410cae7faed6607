import type { AdminRoutes, RouteAnswer, RouteInput } from "@penstock/schemas/admin";

export interface ClientOptions {
  /** Where the console is, e.g. `https://penstock.example.com`; in a browser, the path of the page. */
  readonly url: string;
  /** An API token; in a browser the session's cookie does. */
  readonly token?: string;
  readonly fetch?: typeof fetch;
}

/** Thrown when a request is refused or fails: `message` says what is wrong, `detail` what to do. */
export class ApiError extends Error {
  readonly code = "API_ERROR";
  /** Of the answer; 0 when there was none. */
  readonly status: number;
  readonly detail: string | undefined;
  readonly errors: readonly { readonly path: string; readonly message: string }[];

  constructor(
    status: number,
    problem: { title?: string; detail?: string; errors?: ApiError["errors"] },
    cause?: unknown,
  ) {
    super(problem.title ?? `The console answered with ${status}`, { cause });
    this.status = status;
    this.detail = problem.detail;
    this.errors = problem.errors ?? [];
  }
}

type RouteName = keyof AdminRoutes;

/** Beside the input of a route. */
interface CallOptions {
  readonly signal?: AbortSignal;
  /** A write that is sent again with the same key is not done again. */
  readonly idempotencyKey?: string;
}

type Call = <Name extends RouteName>(
  route: Name,
  // Routes without input take none; unknown is what is left of them.
  ...args: unknown extends RouteInput<AdminRoutes[Name]>
    ? [input?: CallOptions]
    : [input: RouteInput<AdminRoutes[Name]> & CallOptions]
) => Promise<RouteAnswer<AdminRoutes[Name]>>;

/** Calls the routes of the admin API, each by its name in the contract, with its types. */
export interface Client {
  readonly call: Call;
  /** The address of a route, for links and event streams. */
  href<Name extends RouteName>(route: Name, input?: Partial<RouteInput<AdminRoutes[Name]>>): string;
}

interface AnyInput extends CallOptions {
  readonly path?: Readonly<Record<string, unknown>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
}

/**
 * Makes a client of a console.
 *
 * @example
 * const { call } = createClient({ url: "https://penstock.example.com", token: process.env.PENSTOCK_TOKEN });
 * const { items } = await call("GET /events", { query: { q: "type:message.* age<2h" } });
 */
export function createClient({ url, token, fetch: send = fetch }: ClientOptions): Client {
  const root = `${url.replace(/\/$/, "")}/api/v1`;
  const href = (route: string, { path = {}, query = {} }: AnyInput = {}): string => {
    const filled = (route.split(" ")[1] ?? "").replaceAll(/\{(\w+)\}/g, (_, name: string) =>
      encodeURIComponent(String(path[name])),
    );
    const search = new URLSearchParams(
      Object.entries(query).flatMap(([name, value]) => (value == null ? [] : [[name, toText(value)]])),
    );
    return `${root}${filled}${search.size > 0 ? `?${search}` : ""}`;
  };
  const call = async (route: string, input: AnyInput = {}): Promise<unknown> => {
    const { body, signal, idempotencyKey } = input;
    const request = {
      method: route.split(" ")[0] ?? "GET",
      headers: {
        accept: "application/json",
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(idempotencyKey !== undefined && { "idempotency-key": idempotencyKey }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal && { signal }),
    };
    const answer = await send(href(route, input), request).catch((error: unknown) => {
      if (signal?.aborted) throw error;
      throw new ApiError(0, { title: "The console does not answer" }, error);
    });
    if (answer.status === 204) return undefined;
    const json = answer.headers.get("content-type")?.includes("json") ? ((await answer.json()) as unknown) : undefined;
    if (!answer.ok) throw new ApiError(answer.status, (json ?? {}) as object);
    return json;
  };
  return { call: call as Call, href: href as Client["href"] };
}

const toText = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
