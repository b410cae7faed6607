import { useState } from "react";
import { defineTexts, useTexts } from "../app/language.tsx";
import { Button } from "./button.tsx";

const texts = defineTexts({
  en: { copy: "Copy", copied: "Copied" },
  it: { copy: "Copia", copied: "Copiato" },
});

/** A text that is shown now and not again, to copy. */
export function CopyOnce({ label, value }: { label: string; value: string }) {
  const t = useTexts(texts);
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(value);
    setCopied(true);
  };
  return (
    <div className="flex flex-col gap-1">
      <p className="font-medium">{label}</p>
      <div className="flex items-start gap-2">
        <code className="min-w-0 flex-1 rounded-md border border-line bg-sunken px-2 py-1.5 font-mono text-xs break-all select-all">
          {value}
        </code>
        <Button onClick={() => void copy()}>{t(copied ? "copied" : "copy")}</Button>
      </div>
    </div>
  );
}
