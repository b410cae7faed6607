import { useState } from "react";
import { defineTexts, useTexts } from "../app/language.tsx";
import { Button } from "./button.tsx";

const texts = defineTexts({ en: { copy: "Copy", copied: "Copied" }, it: { copy: "Copia", copied: "Copiato" } });

/** A text to paste elsewhere, with a button that copies it. */
export function CopyText({ text }: { text: string }) {
  const t = useTexts(texts);
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
  };
  return (
    <span className="inline-flex max-w-full flex-wrap items-center gap-2">
      <code className="break-all rounded bg-sunken px-1.5 py-0.5 font-mono text-xs">{text}</code>
      <Button className="px-2 py-0.5 text-xs" onClick={() => void copy()}>
        {t(copied ? "copied" : "copy")}
      </Button>
    </span>
  );
}
