// What Node says of a certificate that it does not accept.
const CODE = /^(?:CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_|ERR_TLS_CERT|HOSTNAME_MISMATCH|INVALID_CA)/;

/** The ways out of a certificate that is not accepted, by what the URL leads to. docs/deployment.md explains them. */
const WAYS_OUT = {
  Postgres:
    "For an authority of its own, set sslmode=verify-full&sslrootcert=<its file> in the URL, or NODE_EXTRA_CA_CERTS=<its file>; where the name in the certificate is another, uselibpqcompat=true&sslmode=verify-ca&sslrootcert=<its file>; sslmode=no-verify encrypts and trusts any server",
  Redis:
    "For an authority of its own, set NODE_EXTRA_CA_CERTS=<its file>; the name in the URL must be the one in the certificate",
} as const;

/** Whether an error says that a server's certificate is not accepted. */
export function isCertificateError(error: unknown): boolean {
  return error instanceof Error && "code" in error && typeof error.code === "string" && CODE.test(error.code);
}

/** Says of such an error what it means and what to do. */
export function explainCertificateError(of: keyof typeof WAYS_OUT, message: string): string {
  return `the certificate of ${of} is not accepted: ${message}. ${WAYS_OUT[of]}`;
}
