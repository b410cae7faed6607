import { lookIntoRefusedFolder } from "@penstock/intake";
import { wallClockMs } from "@penstock/schemas";
import { type Check, type Finding, ok, warn } from "../check.ts";
import { bytes, duration, plural, some } from "../words.ts";

/** An ingest imports them within seconds of the return of Postgres. */
const OLD_MS = 300_000;

/** What ingest kept in an outage, where this process can see the folder. */
export const refusedFiles: Check = {
  part: "Outages",
  asksPostgres: false,
  async run({ refusedFolder, penstock }) {
    if (refusedFolder === null) {
      return [
        ok(
          "outages.refused-files",
          "INTAKE_REFUSED_DIR is not set here; an ingest without it keeps nothing of what it answers with 503",
        ),
      ];
    }
    const { files, bytes: size, oldestAt, damaged } = await lookIntoRefusedFolder(refusedFolder);
    const findings: Finding[] = [];
    const ageMs = oldestAt === null ? 0 : wallClockMs() - oldestAt.getTime();
    const waits = `${plural(files, "file")} of refused requests ${files === 1 ? "waits" : "wait"} in ${refusedFolder}, ${bytes(size)}`;
    if (files === 0) findings.push(ok("outages.refused-files", `no refused request waits in ${refusedFolder}`));
    else if (ageMs < OLD_MS) findings.push(ok("outages.refused-files", waits));
    else {
      findings.push(
        warn(
          "outages.refused-files",
          `${waits}, the oldest for ${duration(ageMs / 1_000)}`,
          `Start Postgres and an ingest, which imports them; where Postgres is back, the log of ingest says why it does not. By hand: \`${penstock} import <file>\``,
        ),
      );
    }
    if (damaged.length > 0) {
      findings.push(
        warn(
          "outages.damaged-files",
          `lines of ${some(damaged)} in ${refusedFolder} could not be read, and were left out`,
          "Look at these files, then delete them.",
        ),
      );
    }
    return findings;
  },
};
