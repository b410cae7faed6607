import { completeQuery, type KnownValues, parseQuery, type QueryError } from "@penstock/schemas/search";
import { type KeyboardEvent, type RefObject, useId, useState } from "react";
import { defineTexts, useTexts } from "../app/language.tsx";

const texts = defineTexts({
  en: {
    label: "Search events",
    hint: 'e.g. type:message.* state:dead data.contactId=cnt_1 "free text" age<2h',
    options: "What may stand here",
  },
  it: {
    label: "Cerca eventi",
    hint: 'es. type:message.* state:dead data.contactId=cnt_1 "testo libero" age<2h',
    options: "Che cosa può stare qui",
  },
});

/** The field in which a query is typed, with completion. Enter asks; what is wrong is shown with its place. */
export function QueryField({
  field,
  query,
  known,
  onQuery,
}: {
  field: RefObject<HTMLInputElement | null>;
  query: string;
  known: KnownValues;
  onQuery: (query: string) => void;
}) {
  const t = useTexts(texts);
  const id = useId();
  const [text, setText] = useState(query);
  const [cursor, setCursor] = useState<number | null>(null);
  const [chosen, choose] = useState(-1);
  // Another query came by a link: the field shows it.
  const [shown, show] = useState(query);
  if (shown !== query) {
    show(query);
    setText(query);
  }
  const completion = cursor === null ? null : completeQuery(text, cursor, known);
  const options = completion?.options ?? [];
  const isOpen = options.length > 0;
  const parsed = parseQuery(text);
  const typing = cursor !== null && isOpen;

  const accept = (nth: number): void => {
    const option = options[nth];
    if (completion === null || option === undefined) return;
    const inserted = `${option.insert}${option.whole && text[completion.to] === undefined ? " " : ""}`;
    const next = text.slice(0, completion.from) + inserted + text.slice(completion.to);
    setText(next);
    setCursor(completion.from + inserted.length);
    choose(-1);
  };
  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>): void => {
    if (event.key === "ArrowDown" && isOpen) choose((chosen + 1) % options.length);
    else if (event.key === "ArrowUp" && isOpen)
      choose((chosen + options.length) % (options.length + 1) || options.length - 1);
    else if ((event.key === "Tab" || event.key === "Enter") && isOpen && chosen >= 0) accept(chosen);
    else if (event.key === "Tab" && isOpen && options.length === 1) accept(0);
    else if (event.key === "Enter") {
      setCursor(null);
      if (parsed.ok) onQuery(text.trim());
    } else if (event.key === "Escape") {
      if (isOpen) setCursor(null);
      else event.currentTarget.blur();
    } else return;
    event.preventDefault();
  };
  return (
    <div className="relative flex-1">
      <input
        ref={field}
        type="search"
        role="combobox"
        aria-label={t("label")}
        aria-expanded={isOpen}
        aria-controls={`${id}-options`}
        aria-autocomplete="list"
        aria-invalid={!parsed.ok && !typing}
        aria-activedescendant={chosen >= 0 ? `${id}-${chosen}` : undefined}
        aria-describedby={parsed.ok ? undefined : `${id}-errors`}
        className="w-full rounded-md border border-line bg-panel px-3 py-2 font-mono text-ink placeholder:text-dim"
        placeholder={t("hint")}
        spellCheck={false}
        autoComplete="off"
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setCursor(event.target.selectionStart);
          choose(-1);
        }}
        onBlur={() => setCursor(null)}
        onKeyDown={onKeyDown}
      />
      {isOpen && (
        <ul
          id={`${id}-options`}
          role="listbox"
          aria-label={t("options")}
          className="absolute z-10 mt-1 max-h-72 w-full overflow-auto rounded-md border border-line bg-panel py-1 shadow-lg"
        >
          {options.map((option, nth) => (
            <li
              key={option.insert}
              id={`${id}-${nth}`}
              role="option"
              aria-selected={nth === chosen}
              className={`flex cursor-pointer justify-between gap-4 px-3 py-1 ${nth === chosen ? "bg-sunken" : ""}`}
              // Before the field loses its focus.
              onMouseDown={(event) => {
                event.preventDefault();
                accept(nth);
              }}
            >
              <code>{option.insert}</code>
              {option.what !== null && <span className="text-dim">{option.what}</span>}
            </li>
          ))}
        </ul>
      )}
      {!parsed.ok && !typing && <Errors id={`${id}-errors`} text={text} errors={parsed.errors} />}
    </div>
  );
}

function Errors({ id, text, errors }: { id: string; text: string; errors: readonly QueryError[] }) {
  return (
    <div id={id} role="alert" className="mt-1 flex flex-col gap-1">
      {errors.map(({ from, to, message }) => (
        <p key={`${from} ${message}`} className="text-bad">
          <code className="mr-2 text-ink">
            {text.slice(Math.max(0, from - 20), from)}
            <mark className="bg-sunken text-bad underline">{text.slice(from, Math.max(to, from + 1))}</mark>
          </code>
          {message}
        </p>
      ))}
    </div>
  );
}
