import { json } from "@codemirror/lang-json";
import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { tags } from "@lezer/highlight";
import { basicSetup, EditorView } from "codemirror";
import { useEffect, useRef } from "react";

const look = EditorView.theme({
  "&": { backgroundColor: "var(--sunken)", color: "var(--ink)", fontSize: "12px", maxHeight: "60vh" },
  ".cm-content": { caretColor: "var(--ink)", minHeight: "12rem" },
  ".cm-gutters": { backgroundColor: "var(--sunken)", color: "var(--dim)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "transparent" },
  "&.cm-focused": { outline: "2px solid var(--accent)" },
});

// The colours of the page, which are readable on light and dark alike.
const colours = HighlightStyle.define([
  { tag: tags.propertyName, color: "var(--accent)" },
  { tag: tags.string, color: "var(--good)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--warn)" },
]);

/** An editor of JSON. It is loaded with the page that needs it: CodeMirror is larger than all else. */
export default function JsonEditor({
  label,
  value,
  onValue,
}: {
  label: string;
  value: string;
  onValue: (value: string) => void;
}) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const latest = useRef(onValue);
  useEffect(() => {
    latest.current = onValue;
  });
  useEffect(() => {
    if (host.current === null) return;
    // In a document it writes style tags, which the page's policy forbids; in a shadow root it adopts style sheets.
    const root = host.current.shadowRoot ?? host.current.attachShadow({ mode: "open" });
    const made = new EditorView({
      root,
      parent: root,
      doc: value,
      extensions: [
        basicSetup,
        json(),
        look,
        syntaxHighlighting(colours),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": label }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) latest.current(update.state.doc.toString());
        }),
      ],
    });
    view.current = made;
    return () => made.destroy();
    // What is typed is not written back: the editor is made once for a label.
  }, [label]);
  useEffect(() => {
    const made = view.current;
    if (made === null || made.state.doc.toString() === value) return;
    made.dispatch({ changes: { from: 0, to: made.state.doc.length, insert: value } });
  }, [value]);
  // Keys of the page are not meant for it: outside of the shadow root nobody sees that somebody is typing.
  return <div ref={host} data-testid="json-editor" onKeyDown={(event) => event.nativeEvent.stopPropagation()} />;
}
