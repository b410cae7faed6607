import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/**
 * What a proxy does with bytes:
 *
 * - `pass`: forwards them.
 * - `slow`: forwards them late, in both directions.
 * - `black hole`: accepts connections and bytes, and forwards nothing.
 * - `answers lost`: forwards what a client sends, and nothing of what the server answers.
 */
export type ProxyMode = "pass" | "slow" | "black hole" | "answers lost";

/** A TCP proxy in front of a server of this machine. */
export interface Proxy {
  readonly port: number;
  /** From `black hole` and `answers lost`, no connection comes back that was open: its bytes are gone. */
  setMode(mode: ProxyMode): void;
  /** Resets all connections, at both ends. */
  reset(): void;
  /** The server's end of all connections goes away, and the clients are told nothing. They are reset after a while. */
  halfOpen(): void;
  close(): void;
}

const SLOW_MS = 150;
/** How long a client of a half-open connection is not told. */
const HALF_OPEN_MS = 8_000;

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** Bytes of it are gone, so nothing may be forwarded any more. */
  isTorn: boolean;
}

export async function openProxy(targetPort: number): Promise<Proxy> {
  const pairs = new Set<Pair>();
  let mode: ProxyMode = "pass";

  const listener = createServer({ noDelay: true }, (client) => {
    const server = connect({ port: targetPort, host: "127.0.0.1", noDelay: true });
    const pair: Pair = { client, server, isTorn: false };
    pairs.add(pair);
    forward(pair, client, server, () => mode === "black hole");
    forward(pair, server, client, () => mode !== "pass" && mode !== "slow");
    client.on("close", () => pairs.delete(pair));
  });

  function forward(pair: Pair, from: Socket, to: Socket, loses: () => boolean): void {
    let waiting = 0;
    // Timers of one length fire in the order in which they were set.
    const inTurn = (act: () => void): void => {
      if (mode !== "slow" && waiting === 0) return act();
      waiting++;
      setTimeout(() => {
        waiting--;
        act();
      }, SLOW_MS);
    };
    from.on("data", (chunk) => {
      if (loses()) pair.isTorn = true;
      if (!pair.isTorn) inTurn(() => to.writable && to.write(chunk));
    });
    from.on("error", () => undefined);
    from.on("end", () => inTurn(() => !pair.isTorn && to.end()));
    // A client hears nothing of a server that went away behind a black hole.
    from.on("close", () => inTurn(() => (from === pair.client || !pair.isTorn) && to.destroy()));
  }

  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    port: (listener.address() as AddressInfo).port,
    setMode(next) {
      mode = next;
      if (next === "pass") for (const pair of pairs) if (pair.isTorn) resetPair(pair);
    },
    reset() {
      for (const pair of pairs) resetPair(pair);
    },
    halfOpen() {
      for (const pair of pairs) {
        pair.isTorn = true;
        pair.server.destroy();
        setTimeout(() => resetPair(pair), HALF_OPEN_MS).unref();
      }
    },
    close() {
      listener.close();
      for (const pair of pairs) resetPair(pair);
    },
  };
}

function resetPair({ client, server }: Pair): void {
  client.resetAndDestroy();
  server.resetAndDestroy();
}
