import { createClient } from "@penstock/client";
import { settings } from "./settings.ts";

/** The admin API, with the session of this browser. */
export const api = createClient({ url: settings.basePath });
