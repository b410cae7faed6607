import { PermanentError } from "./errors.ts";

/**
 * Puts ids into a URL's path or query, each in braces: encoded, so that none can lead elsewhere.
 *
 * @throws PermanentError for `.` and `..`, which a path cannot hold as a name.
 * @example
 * fillUrl("https://crm.example/contacts/{contactId}", { contactId: "a/b" }); // https://crm.example/contacts/a%2Fb
 */
export function fillUrl(template: string, ids: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{(\w+)\}/g, (whole, name: string) => {
    const id = Object.hasOwn(ids, name) ? ids[name] : undefined;
    if (id === undefined) return whole;
    if (id === "." || id === "..") throw new PermanentError(`no URL can hold ${JSON.stringify(id)} as ${name}`);
    return encodeURIComponent(id.toWellFormed());
  });
}

/** Whether a template makes http or https URLs with these ids and no others; the names are all that stand in braces. */
export function isUrlTemplate(template: string, names: readonly string[] = []): boolean {
  const filled = fillUrl(template, Object.fromEntries(names.map((name) => [name, "id"])));
  if (/[{}]/.test(filled) || !URL.canParse(filled)) return false;
  const { protocol, username, password } = new URL(filled);
  return (protocol === "http:" || protocol === "https:") && username === "" && password === "";
}
