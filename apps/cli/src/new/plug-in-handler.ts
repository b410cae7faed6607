import type { PluggedIn } from "./plug-in-source.ts";

const LISTED = /(\bhandlers:\s*\[)([^[\]]*(?:\[[^[\]]*\][^[\]]*)*)\]/;

/**
 * Has the text of a penstock.config.ts import the handler of a package, and list it; `entry` is what stands in the list.
 * How it is wrapped is for a formatter to say.
 */
export function plugInHandler(
  text: string,
  handler: { readonly package: string; readonly identifier: string; readonly entry: string },
): PluggedIn {
  if (text.includes(`"${handler.package}"`)) return { ok: false, reason: "taken" };
  const [list, start = "", entries = ""] = LISTED.exec(text) ?? [];
  if (list === undefined) return { ok: false, reason: "unknown-form" };
  const kept = entries.trim().replace(/,$/, "");
  const listed = text.replace(list, () => `${start}${kept}${kept === "" ? "" : ", "}${handler.entry}]`);
  const statement = `import ${handler.identifier} from "${handler.package}";\n`;
  const imports = [...listed.matchAll(/^import [^;]*;\n/gm)].at(-1);
  const at = imports === undefined ? 0 : imports.index + imports[0].length;
  return { ok: true, text: listed.slice(0, at) + statement + listed.slice(at) };
}
