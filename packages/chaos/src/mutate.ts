// Loaded by Node's --import into a process whose code is to be broken: replaces texts of source files as they are loaded.
// The files themselves stay as they are, and the product knows nothing of this.
import { type LoadHookSync, registerHooks } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ROOT } from "@penstock/testing/servers";
import { type Mutation, MUTATIONS, type MutationName, replaceText } from "./mutations.ts";

const { replacements }: Mutation = MUTATIONS[process.env["CHAOS_MUTATION"] as MutationName];

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const mine = replacements.filter(({ file }) => pathToFileURL(join(ROOT, file)).href === url);
    if (mine.length === 0) return loaded;
    return { ...loaded, source: mine.reduce(replaceText, textOf(loaded.source)) };
  },
});

const textOf = (source: ReturnType<LoadHookSync>["source"]): string =>
  typeof source === "string" ? source : new TextDecoder().decode(source);
