import type { ReactNode } from "react";

/** A plain table: what its columns are, and its rows. On a narrow screen it scrolls by itself. */
export function Table({ head, children }: { head: readonly string[]; children: ReactNode }) {
  return (
    <div className="overflow-x-auto">
      <table className="w-full text-left [&_td]:py-1.5 [&_td]:pr-4">
        <thead className="text-dim">
          <tr>
            {head.map((name, at) =>
              name === "" ? (
                <td key={at} />
              ) : (
                <th key={name} scope="col" className="py-1 pr-4 font-medium whitespace-nowrap">
                  {name}
                </th>
              ),
            )}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
