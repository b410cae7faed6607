import http from "node:http";
import type { AddressInfo } from "node:net";

/** A request as it came. */
export interface Received {
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  readonly at: number;
}

type Answering = (response: http.ServerResponse, received: Received, nth: number) => void;

/** A receiver of webhooks on loopback that answers as it is told. */
export interface Sink {
  readonly url: string;
  readonly received: Received[];
  /** The most requests that were under way at once. */
  readonly seen: { most: number };
  answer: Answering;
  close(): Promise<void>;
}

/** Answers 200. */
export const accept: Answering = (response) => void response.writeHead(200).end("ok");
/** Answers with a status, and says it in the body. */
export const answer =
  (status: number, headers: Record<string, string> = {}): Answering =>
  (response) =>
    void response.writeHead(status, headers).end(`status ${status}`);

/** Opens a receiver that answers 200 until it is told otherwise. */
export async function openSink(): Promise<Sink> {
  const received: Received[] = [];
  const seen = { most: 0 };
  let underWay = 0;
  const server = http.createServer((request, response) => {
    seen.most = Math.max(seen.most, ++underWay);
    response.on("close", () => underWay--);
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const one = { path: request.url ?? "", headers: request.headers, body: Buffer.concat(chunks), at: Date.now() };
      sink.answer(response, one, received.push(one));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const sink: Sink = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    seen,
    answer: accept,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return sink;
}
