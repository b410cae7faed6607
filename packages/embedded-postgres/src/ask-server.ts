import { connect } from "node:net";
import { ROLE } from "./state-file.ts";

/**
 * What a server says to a client that wants to log in: `accepting` connections, `rejecting` them for now (it starts,
 * recovers or shuts down), `refused` (nobody listens) or `silent` (nothing within the time, or not a Postgres).
 */
export type ServerAnswer = "accepting" | "rejecting" | "refused" | "silent";

const CANNOT_CONNECT_NOW = "57P03";

/**
 * Sends the first packet of a login to a port of 127.0.0.1 and reads the first byte of the answer, as pg_isready does.
 *
 * A frozen server still has its connections accepted by the kernel, which is why a TCP connection alone proves nothing.
 * Protocol: https://www.postgresql.org/docs/18/protocol-message-formats.html (StartupMessage).
 */
export function askServer(port: number, timeoutMs: number): Promise<ServerAnswer> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    const timer = setTimeout(() => finish("silent"), timeoutMs);
    let received = Buffer.alloc(0);
    const finish = (answer: ServerAnswer): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    socket.on("error", (error: NodeJS.ErrnoException) => finish(error.code === "ECONNREFUSED" ? "refused" : "silent"));
    socket.on("close", () => finish("silent"));
    socket.on("connect", () => socket.write(startupMessage()));
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      const type = String.fromCharCode(received[0] ?? 0);
      if (type === "R") return finish("accepting");
      if (type !== "E") return finish("silent");
      if (received.length < 5 || received.length < 1 + received.readInt32BE(1)) return;
      // Any other refusal (too many connections, an unknown database) comes from a server that is up.
      finish(received.includes(`C${CANNOT_CONNECT_NOW}\0`) ? "rejecting" : "accepting");
    });
  });
}

function startupMessage(): Buffer {
  const body = Buffer.from(`user\0${ROLE}\0database\0${ROLE}\0\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(head.length + body.length, 0);
  head.writeInt32BE(0x0003_0000, 4);
  return Buffer.concat([head, body]);
}
