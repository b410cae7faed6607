import { setTimeout as sleep } from "node:timers/promises";
import { CliError } from "../cli-error.ts";
import { isRunning } from "../is-running.ts";
import { createServer } from "node:net";

/** Whose port it is, as its variables begin. */
type Owner = "INGEST" | "CONSOLE";

const advice = (owner: Owner): Readonly<Record<string, string>> => ({
  EADDRINUSE: `is in use by another program: end that, or choose another port, e.g. ${owner}_PORT=8091 npm start`,
  EACCES: `needs special rights: choose one above 1023, e.g. ${owner}_PORT=8091 npm start`,
  EADDRNOTAVAIL: `cannot be had: ${owner}_HOST is not an address of this machine`,
  ENOTFOUND: `cannot be had: ${owner}_HOST is not a name that leads to an address`,
});

/**
 * Makes sure that a server can listen there, before anything is started. While one of `leftovers` lives, processes of
 * an earlier start that was killed, it waits for them: they notice, finish what is under way and end.
 *
 * @throws CliError that says why not, and what to do.
 */
export async function assertPortIsFree(
  { owner, host, port }: { readonly owner: Owner; readonly host: string; readonly port: number },
  leftovers: { readonly pids: readonly number[]; readonly waitMs: number; readonly onWait: () => void },
): Promise<void> {
  const deadline = performance.now() + leftovers.waitMs;
  for (let waited = false; ; waited = true) {
    const code = await tryListen(host, port);
    if (code === null) return;
    if (code !== "EADDRINUSE" || !leftovers.pids.some(isRunning) || performance.now() > deadline) {
      throw new CliError(`Port ${port} of ${host} ${advice(owner)[code] ?? `cannot be had (${code})`}.`);
    }
    if (!waited) leftovers.onWait();
    await sleep(100);
  }
}

function tryListen(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}
