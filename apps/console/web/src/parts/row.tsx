import type { ReactNode } from "react";

/** A row of a table, cell by cell. */
export function Row({ cells }: { cells: readonly ReactNode[] }) {
  return (
    <tr className="border-t border-line align-top">
      {cells.map((cell, at) => (
        // By its place: cells do not move.
        <td key={at}>{cell}</td>
      ))}
    </tr>
  );
}
