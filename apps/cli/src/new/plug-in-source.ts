import { toIdentifier } from "./to-identifier.ts";

const LISTED = /defineSources\(\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}\)/;

/** The text with the source in it; or why not: one of that name is there, or its list cannot be found. */
export type PluggedIn =
  { readonly ok: true; readonly text: string } | { readonly ok: false; readonly reason: "taken" | "unknown-form" };

/** Has the text of a penstock.sources.ts import the source of sources/<name>.ts, and list it. */
export function plugInSource(text: string, name: string): PluggedIn {
  const [call, entries] = LISTED.exec(text) ?? [];
  if (call === undefined || entries === undefined) return { ok: false, reason: "unknown-form" };
  if (new RegExp(`(?:^|[\\s,{])["']?${name}["']?\\s*[:,]`, "m").test(entries)) return { ok: false, reason: "taken" };
  const identifier = toIdentifier(name);
  const key = identifier === name ? name : JSON.stringify(name);
  const kept = entries.trimEnd().replace(/,$/, "");
  const multiline = kept.includes("\n");
  const added = multiline
    ? `${kept},\n  ${key}: ${identifier}(),\n`
    : `${kept.trim() === "" ? "" : `${kept},`} ${key}: ${identifier}() `;
  const listed = text.replace(call, () => `defineSources({${added}})`);
  const statement = `import { ${identifier} } from "./sources/${name}.ts";\n`;
  const imports = [...listed.matchAll(/^import [^;]*;\n/gm)].at(-1);
  const at = imports === undefined ? 0 : imports.index + imports[0].length;
  return { ok: true, text: listed.slice(0, at) + statement + listed.slice(at) };
}
