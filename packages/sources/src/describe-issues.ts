/** What is used of a schema's complaint. */
interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** How many complaints are written out; a body can be wrong in as many places as it has. */
const MAX_ISSUES = 5;

/**
 * One line for a person: where a body breaks its schema and which rule, never what stands there.
 *
 * @example
 * describeIssues(result.error.issues); // "data.messageId: Invalid input: expected string, received undefined"
 */
export function describeIssues(issues: readonly Issue[]): string {
  const lines = issues.slice(0, MAX_ISSUES).map(({ path, message }) => {
    const where = path.map(String).join(".");
    return where === "" ? message : `${where}: ${message}`;
  });
  if (issues.length > MAX_ISSUES) lines.push(`and ${issues.length - MAX_ISSUES} more`);
  return lines.join("; ");
}
