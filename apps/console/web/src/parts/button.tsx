import type { ComponentProps } from "react";

const LOOKS = {
  primary: "bg-accent text-on-accent border-accent hover:brightness-110",
  plain: "bg-panel text-ink border-line hover:bg-sunken",
  danger: "bg-panel text-bad border-line hover:bg-sunken",
} as const;

/** A button. `look` says how much it asks to be pressed. */
export function Button({
  look = "plain",
  className = "",
  ...props
}: ComponentProps<"button"> & { look?: keyof typeof LOOKS }) {
  return (
    <button
      type="button"
      className={`inline-flex items-center gap-1.5 rounded-md border px-3 py-1.5 font-medium disabled:opacity-50 ${LOOKS[look]} ${className}`}
      {...props}
    />
  );
}
