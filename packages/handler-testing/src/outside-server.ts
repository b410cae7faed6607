import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** A status with headers and body, or what servers do in bad times: never answer, or break the connection off. */
export type OutsideAnswer =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  | "hang"
  | "reset";

/** A request that a server got. */
export interface OutsideRequest {
  readonly method: string;
  /** With the query, e.g. `/contacts/7?merge=1`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** A real HTTP server on 127.0.0.1 for what an effect handler talks to: it hears everything, and misbehaves when told. */
export interface OutsideServer extends AsyncDisposable {
  /** Without a slash at the end. */
  readonly url: string;
  /** In order of arrival. */
  readonly requests: readonly OutsideRequest[];
  /** How the next requests are answered, in order; those after that as `always` says. */
  next(...answers: OutsideAnswer[]): void;
  /** How all others are answered; with 200 and nothing unless told. */
  always(answer: OutsideAnswer): void;
}

/**
 * Starts a server for a test.
 *
 * @example
 * await using crm = await outsideServer();
 * crm.next({ status: 429, headers: { "retry-after": "60" } }, "reset");
 * await using t = await testHandler(sync({ url: crm.url }));
 */
export async function outsideServer(): Promise<OutsideServer> {
  const requests: OutsideRequest[] = [];
  const planned: OutsideAnswer[] = [];
  let otherwise: OutsideAnswer = { status: 200 };
  const server = createServer((request, response) => {
    const answer = async (): Promise<void> => {
      const { method = "", url: path = "", headers } = request;
      requests.push({ method, path, headers, body: await text(request) });
      const how = planned.shift() ?? otherwise;
      if (how === "hang") return;
      if (how === "reset") request.socket.resetAndDestroy();
      else response.writeHead(how.status, how.headers).end(how.body);
    };
    answer().catch(() => response.destroy()); // whoever asked is gone
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    next: (...answers) => void planned.push(...answers),
    always: (answer) => void (otherwise = answer),
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
