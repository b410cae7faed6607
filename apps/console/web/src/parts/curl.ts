/** A command for a shell that posts exact bytes. */
export function toCurl({
  url,
  headers,
  body,
  encoding,
}: {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly encoding: "utf8" | "base64";
}): string {
  const given = Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`);
  const to = ["-X POST", quoted(url), ...given].join(" ");
  return encoding === "base64"
    ? `printf %s ${quoted(body)} | base64 -d | curl ${to} --data-binary @-`
    : `curl ${to} --data-binary ${quoted(body)}`;
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
