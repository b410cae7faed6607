/** The values of a metric's labels, all of them bounded. */
export type Labels<Label extends string> = Readonly<Record<Label, string>>;

/** Labels that a call has to name: none where the metric has none. */
export type Given<Label extends string> = [Label] extends [never] ? [] : [labels: Labels<Label>];

/** One cell for each combination of label values that has occurred. */
export interface Cells<Cell> {
  readonly all: readonly Cell[];
  /** Returns the cell of these label values, made at its first use. */
  of(labels: Labels<string> | undefined): Cell;
}

/** What has been seen up to one label: its cell after the last one, else the values of the next. */
interface Node<Cell> {
  cell: Cell | undefined;
  readonly next: Map<string, Node<Cell>>;
}

/** Keeps the cells of one metric, found label by label: that takes no string to be made, and no hash of an object. */
export function createCells<Cell>(names: readonly string[], make: (labels: Labels<string>) => Cell): Cells<Cell> {
  const all: Cell[] = [];
  const root = createNode<Cell>();
  return {
    all,
    of(labels = {}) {
      let node = root;
      for (const name of names) {
        const value = labels[name] ?? "";
        let next = node.next.get(value);
        if (next === undefined) node.next.set(value, (next = createNode()));
        node = next;
      }
      if (node.cell === undefined) {
        // A copy: the caller's object may have more in it, and change.
        node.cell = make(Object.fromEntries(names.map((name) => [name, labels[name] ?? ""])));
        all.push(node.cell);
      }
      return node.cell;
    },
  };
}

function createNode<Cell>(): Node<Cell> {
  return { cell: undefined, next: new Map() };
}
