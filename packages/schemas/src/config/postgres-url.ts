import { parse } from "pg-connection-string";

/** True for what is meant as the address of a Postgres, in a form that pg takes. */
export function isForPostgres(text: string): boolean {
  return /^(?:postgres(?:ql)?:\/\/|socket:\/)[^\t\r\n]*$/.test(text);
}

/**
 * Says what pg could not use in the address of a Postgres, in words that follow the variable's name; null when it takes it.
 * Read by pg's own parser: besides URLs it takes sockets (`postgres://user@/db?host=/run/postgresql`), hosts and ports as
 * parameters, and the files of certificates, which it reads.
 */
export function problemOfPostgresUrl(text: string): string | null {
  try {
    const { port } = parse(text);
    if (port && !(/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535)) {
      return "names a port that is none: it must be a whole number from 1 to 65535";
    }
    return null;
  } catch (error) {
    const { code = "", path, message } = error as NodeJS.ErrnoException;
    if (path !== undefined) return `names the file ${path} for TLS, which this user cannot read (${code})`;
    // It names parameters, and no values.
    if (code === "" && !(error instanceof URIError)) return `cannot be used: ${message}`;
    return "must be a URL that starts with postgres:// or postgresql://; in user and password, percent-encode what is not a letter or digit";
  }
}
