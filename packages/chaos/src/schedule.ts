import { createDraw } from "./draw.ts";

/** What a fault befalls: two faults of one step never befall the same. */
type Target = "ingest" | "worker" | "redis" | "postgres" | "handlers" | "operator";

interface Kind {
  readonly target: Target;
  /** How long it lasts, in seconds, at least and at most. */
  readonly seconds: readonly [number, number];
  /** How often it comes, compared with others; 1 unless given. */
  readonly weight?: number;
  /** Whether it kills a process. */
  readonly kills?: true;
  /** What it can befall of several: tables, handlers. */
  readonly among?: readonly string[];
}

const TABLES = ["pending", "batches", "event_keys", "events", "deliveries", "attempts", "effects", "lanes", "handlers"];
const HANDLERS = ["rows", "counted", "lane", "outside"];
const PROCESSES = ["0", "1"];

/** Every kind of fault, by its name. */
export const KINDS = {
  "ingest-killed": { target: "ingest", seconds: [0, 0], weight: 3, kills: true, among: PROCESSES },
  "ingest-stopped": { target: "ingest", seconds: [0, 0], weight: 2, among: PROCESSES },
  "ingest-frozen": { target: "ingest", seconds: [1, 8], weight: 2, among: PROCESSES },
  "ingest-reset": { target: "ingest", seconds: [0, 0], weight: 2, among: PROCESSES },
  "ingest-black-hole": { target: "ingest", seconds: [2, 6], among: PROCESSES },
  "ingest-answers-lost": { target: "ingest", seconds: [1, 4], weight: 2, among: PROCESSES },
  "ingest-half-open": { target: "ingest", seconds: [0, 0], among: PROCESSES },
  "ingest-slow": { target: "ingest", seconds: [2, 6], among: PROCESSES },
  "worker-killed": { target: "worker", seconds: [0, 0], weight: 4, kills: true, among: PROCESSES },
  "worker-stopped": { target: "worker", seconds: [0, 0], weight: 2, among: PROCESSES },
  "worker-frozen": { target: "worker", seconds: [1, 8], weight: 2, among: PROCESSES },
  // Past the lease of a transactional delivery: its timeoutMs and 10 s.
  "worker-frozen-past-lease": { target: "worker", seconds: [14, 17], among: PROCESSES },
  // Past the lease of an effect: its timeoutMs and 30 s, and 5 s until it is looked for.
  "worker-frozen-past-all-leases": { target: "worker", seconds: [39, 45], weight: 0.15, among: PROCESSES },
  "redis-killed": { target: "redis", seconds: [0, 4], weight: 3, kills: true },
  "redis-wiped": { target: "redis", seconds: [0, 0], weight: 2 },
  "redis-full": { target: "redis", seconds: [2, 6] },
  "redis-read-only": { target: "redis", seconds: [2, 6] },
  "redis-frozen": { target: "redis", seconds: [2, 8] },
  "redis-reset": { target: "redis", seconds: [0, 0] },
  "redis-black-hole": { target: "redis", seconds: [2, 6] },
  "redis-answers-lost": { target: "redis", seconds: [1, 4] },
  "redis-half-open": { target: "redis", seconds: [0, 0] },
  "postgres-killed": { target: "postgres", seconds: [0, 4], weight: 3, kills: true },
  "postgres-terminated": { target: "postgres", seconds: [0, 0], weight: 3 },
  "postgres-locked": { target: "postgres", seconds: [2, 8], weight: 3, among: TABLES },
  "postgres-locked-long": { target: "postgres", seconds: [20, 20], weight: 0.5, among: TABLES },
  "postgres-frozen": { target: "postgres", seconds: [2, 6] },
  "postgres-checkpointer-frozen": { target: "postgres", seconds: [3, 8] },
  "postgres-reset": { target: "postgres", seconds: [0, 0], weight: 3 },
  "postgres-black-hole": { target: "postgres", seconds: [2, 6] },
  "postgres-answers-lost": { target: "postgres", seconds: [1, 3], weight: 3 },
  "postgres-half-open": { target: "postgres", seconds: [0, 0] },
  "postgres-slow": { target: "postgres", seconds: [2, 6] },
  "handler-throws": { target: "handlers", seconds: [0, 0], among: HANDLERS },
  "handler-hangs": { target: "handlers", seconds: [0, 0], among: HANDLERS },
  "handler-ends-process": { target: "handlers", seconds: [0, 0], kills: true, among: HANDLERS },
  retention: { target: "operator", seconds: [0, 0] },
  replay: { target: "operator", seconds: [0, 0], weight: 0.5 },
} as const satisfies Record<string, Kind>;

export type FaultKind = keyof typeof KINDS;

export interface Fault {
  readonly kind: FaultKind;
  /** Which of several it befalls: the number of a process, a table, a handler. */
  readonly which: string;
  /** When it begins, counted from the beginning of its step. */
  readonly delayMs: number;
  readonly lastsMs: number;
}

/** One or two faults that meet, and how long after the recovery from the step before the step begins. */
export interface Step {
  readonly afterMs: number;
  readonly faults: readonly Fault[];
}

/** How often a step has two faults, and how much later the second one begins at most. */
const PAIRS = 0.3;
const MOST_DELAY_MS = 2_000;

/** An endless schedule: the same for the same seed, backend, kinds and share of pairs. */
export function* schedule(
  seed: number,
  backend: "redis" | "postgres",
  only: readonly string[] = [],
  pairs = PAIRS,
): Generator<Step, never> {
  const kinds = Object.entries<Kind>(KINDS)
    .filter(
      ([name, { target }]) => (only.length === 0 || only.includes(name)) && (backend === "redis" || target !== "redis"),
    )
    .map(([name, kind]) => ({ name: name as FaultKind, ...kind }));
  if (kinds.length === 0) throw new Error(`no kind of fault is named ${only.join(", ")}`);
  const draw = createDraw(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(draw() * list.length)] as T;

  function drawFault(among: typeof kinds, delayMs: number): Fault {
    const sum = among.reduce((total, { weight = 1 }) => total + weight, 0);
    let at = draw() * sum;
    const kind = among.find(({ weight = 1 }) => (at -= weight) < 0) ?? pick(among);
    const [least, most] = kind.seconds;
    return {
      kind: kind.name,
      which: kind.among === undefined ? "" : pick(kind.among),
      delayMs,
      lastsMs: Math.round((least + draw() * (most - least)) * 1_000),
    };
  }

  for (;;) {
    const first = drawFault(kinds, 0);
    const faults = [first];
    const others = kinds.filter(({ target }) => target !== KINDS[first.kind].target);
    if (draw() < pairs && others.length > 0) faults.push(drawFault(others, Math.round(draw() * MOST_DELAY_MS)));
    yield { afterMs: Math.round(200 + draw() * 800), faults };
  }
}

/** Whether it kills a process; else it is an outage of something. */
export function kills(kind: FaultKind): boolean {
  return "kills" in KINDS[kind];
}
