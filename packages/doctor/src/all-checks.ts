import type { Check } from "./check.ts";
import { activity } from "./checks/activity.ts";
import { clocks } from "./checks/clocks.ts";
import { exporters } from "./checks/exporters.ts";
import { masterKey } from "./checks/master-key.ts";
import { postgres } from "./checks/postgres.ts";
import { queue } from "./checks/queue.ts";
import { refusedFiles } from "./checks/refused-files.ts";
import { retention } from "./checks/retention.ts";
import { schema } from "./checks/schema.ts";
import { settings } from "./checks/settings.ts";
import { sources } from "./checks/sources.ts";
import { work } from "./checks/work.ts";

/** In the order in which a person reads what they found. */
export const allChecks: readonly Check[] = [
  settings,
  postgres,
  activity,
  queue,
  clocks,
  schema,
  work,
  sources,
  refusedFiles,
  masterKey,
  retention,
  exporters,
];
