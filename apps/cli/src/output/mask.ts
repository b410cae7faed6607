/** A secret as it may be shown: its first and last four characters, or none of a short one. */
export function maskSecret(secret: string): string {
  return secret.length < 16 ? "••••••••" : `${secret.slice(0, 4)}…${secret.slice(-4)}`;
}
