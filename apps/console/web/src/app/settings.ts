/** What the server told the page, in a script tag that holds JSON. */
interface Settings {
  /** The path in front of everything, ends with a slash. */
  readonly basePath: string;
  readonly version: string;
  /** Whether people can sign in by a provider of identities. */
  readonly hasOidc: boolean;
  /** The address of a trace, with `{traceId}` in it; null: none is linked to. */
  readonly traceUrl: string | null;
  /** Whether it is worth asking who is signed in. */
  readonly hasSession: boolean;
}

const tag = document.getElementById("settings");

export const settings: Settings =
  tag === null
    ? { basePath: "/", version: "", hasOidc: false, traceUrl: null, hasSession: true }
    : (JSON.parse(tag.textContent) as Settings);
