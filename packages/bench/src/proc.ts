import { readdirSync, readFileSync } from "node:fs";

/** Processor time that a process, its children and those that it has outlived have used, in milliseconds. */
export function cpuMs(pid: number): number {
  const own = readStat(pid);
  if (own === null) return 0;
  const children = readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? [readStat(Number(name))] : []));
  const theirs = children.filter((stat) => stat?.parent === pid).reduce((sum, stat) => sum + (stat?.ticks ?? 0), 0);
  // The kernel counts in hundredths of a second.
  return (own.ticks + own.ticksOfTheDead + theirs) * 10;
}

/** Resident memory of a process, in MiB. */
export function rssMiB(pid: number): number {
  const kib = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) / 1024;
}

function readStat(pid: number): { parent: number; ticks: number; ticksOfTheDead: number } | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return null; // it has ended
  }
  // After the name, which may hold anything: state, parent, …; times are fields 14 to 17 of proc(5).
  const fields = text
    .slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const [user = 0, system = 0, deadUser = 0, deadSystem = 0] = fields.slice(11, 15);
  return { parent: fields[1] ?? 0, ticks: user + system, ticksOfTheDead: deadUser + deadSystem };
}
