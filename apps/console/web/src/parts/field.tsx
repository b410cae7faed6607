import { type ComponentProps, type ReactNode, useId } from "react";

const BOX = "w-full rounded-md border border-line bg-panel px-2.5 py-1.5 text-ink placeholder:text-dim";

/** A labelled text field. */
export function TextField({ label, hint, ...props }: ComponentProps<"input"> & { label: string; hint?: ReactNode }) {
  const id = useId();
  return (
    <div className="flex flex-col gap-1">
      <label htmlFor={id} className="font-medium">
        {label}
      </label>
      <input id={id} className={BOX} aria-describedby={hint ? `${id}-hint` : undefined} {...props} />
      {hint && (
        <p id={`${id}-hint`} className="text-xs text-dim">
          {hint}
        </p>
      )}
    </div>
  );
}

/** A labelled choice of one. */
export function SelectField<Value extends string>({
  label,
  options,
  value,
  onValue,
  ...props
}: Omit<ComponentProps<"select">, "value"> & {
  label: string;
  options: readonly { readonly value: Value; readonly label: string }[];
  value: Value;
  onValue: (value: Value) => void;
}) {
  const id = useId();
  return (
    <div className="flex flex-col gap-1">
      <label htmlFor={id} className="font-medium">
        {label}
      </label>
      <select
        id={id}
        className={BOX}
        value={value}
        onChange={(event) => onValue(event.target.value as Value)}
        {...props}
      >
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.label}
          </option>
        ))}
      </select>
    </div>
  );
}

/** A labelled yes or no. */
export function CheckField({ label, ...props }: ComponentProps<"input"> & { label: string }) {
  return (
    <label className="inline-flex items-center gap-2">
      <input type="checkbox" className="size-4 accent-accent" {...props} />
      {label}
    </label>
  );
}
