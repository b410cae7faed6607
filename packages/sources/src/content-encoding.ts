/** The content codings of the IANA registry that change the bytes. */
const CODINGS = new Set([
  "aes128gcm",
  "br",
  "compress",
  "dcb",
  "dcz",
  "deflate",
  "exi",
  "gzip",
  "pack200-gzip",
  "zstd",
]);

/** Whether a body is not as it was signed. What senders write there by mistake, `utf-8` or nothing, codes nothing. */
export function isEncoded(contentEncoding: string | undefined): boolean {
  if (contentEncoding === undefined) return false;
  return contentEncoding.split(",").some((coding) => CODINGS.has(coding.trim().toLowerCase().replace(/^x-/, "")));
}
