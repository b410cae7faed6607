import type { Request, Response } from "express";

/** One thing that has to be in order; rejects with what is wrong. */
export interface HealthCheck {
  readonly name: string;
  readonly check: () => Promise<void>;
  /** False where intake does without: it is told, and the answer is still 200. */
  readonly required: boolean;
}

const CHECK_MS = 2_000;
const KEEP_MS = 1_000;

/** `GET /healthz`: the process lives. */
export function healthz(_req: Request, res: Response): void {
  send(res, 200, { status: "ok" });
}

/**
 * `GET /readyz`: 200 when events can be accepted, else 503; says what is not in order either way. With the queue away
 * events are still committed and acknowledged, so a balancer must go on sending them: 200, `degraded`.
 */
export function createReadyz(
  checks: readonly HealthCheck[],
  isClosing: () => boolean,
): (req: Request, res: Response) => Promise<void> {
  let last: { at: number; results: Promise<string[]> } | undefined;
  return async function readyz(_req, res) {
    if (isClosing()) return send(res, 503, { status: "stopping" });
    // Probes of several balancers a second cost one check.
    if (last === undefined || performance.now() - last.at > KEEP_MS) {
      last = { at: performance.now(), results: Promise.all(checks.map(run)) };
    }
    const results = await last.results;
    const wrong = checks.filter((_, at) => results[at] !== "ok");
    const status = wrong.length === 0 ? "ready" : wrong.some(({ required }) => required) ? "not-ready" : "degraded";
    const report = Object.fromEntries(checks.map(({ name }, at) => [name, results[at]]));
    send(res, status === "not-ready" ? 503 : 200, { status, checks: report });
  };
}

async function run({ check }: HealthCheck): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  try {
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error("no answer")), CHECK_MS);
    });
    await Promise.race([check(), late]);
    return "ok";
  } catch (error) {
    return describe(error);
  } finally {
    clearTimeout(timer);
  }
}

/** Anyone can ask, so hosts and ports, which stand in what a driver says, stay out of the answer. */
function describe(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "MIGRATIONS_PENDING" && error instanceof Error ? error.message : "unreachable";
}

function send(res: Response, status: number, body: object): void {
  const bytes = Buffer.from(JSON.stringify(body));
  res.writeHead(status, {
    "content-type": "application/json",
    "content-length": bytes.length,
    "cache-control": "no-store",
  });
  res.end(bytes);
}
