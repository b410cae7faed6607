/** A name with hyphens as it is written in code: `acme-eu` is `acmeEu`. */
export function toIdentifier(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
