import { useKeyHints } from "../app/keys.tsx";
import { defineTexts, useTexts } from "../app/language.tsx";
import { Dialog } from "./dialog.tsx";

const texts = defineTexts({ en: { title: "Keys" }, it: { title: "Tasti" } });

/** All keys that do something on the page that is shown. */
export function KeysDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const t = useTexts(texts);
  const hints = useKeyHints();
  return (
    <Dialog title={t("title")} open={open} onClose={onClose}>
      <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-2">
        {open &&
          hints().map(({ keys, does }) => (
            <div key={keys} className="contents">
              <dt>
                {keys.split(" ").map((key) => (
                  <kbd key={key} className="mr-1 rounded border border-line bg-sunken px-1.5 py-0.5 font-mono">
                    {key}
                  </kbd>
                ))}
              </dt>
              <dd>{does}</dd>
            </div>
          ))}
      </dl>
    </Dialog>
  );
}
