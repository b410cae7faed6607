/** The types of Postgres that statements use: what pg gives for a column, and what it takes for a parameter. */
interface PgTypes {
  bool: [given: boolean, taken: boolean];
  bytea: [given: Buffer, taken: Buffer | string];
  /** Read a date as text: pg would make a time in the host's time zone. */
  date: [given: never, taken: string];
  float8: [given: number, taken: number];
  int2: [given: number, taken: number];
  int4: [given: number, taken: number];
  int8: [given: string, taken: number | string];
  json: [given: unknown, taken: string];
  jsonb: [given: unknown, taken: string];
  name: [given: string, taken: string];
  text: [given: string, taken: string];
  timestamptz: [given: Date, taken: Date | string];
  void: [given: string, taken: never];
  uuid: [given: string, taken: string];
  xid8: [given: string, taken: string];
}

type Scalar = keyof PgTypes;
type PgType = Scalar | `${Scalar}[]`;
/** With a question mark, null is allowed. */
type Declared = PgType | `${PgType}?`;

/** A column with a closer type than that of Postgres. */
export interface Column<T> {
  readonly type: PgType;
  readonly value?: T;
}

/** The columns of a statement's rows, in order. */
type Columns = Readonly<Record<string, Declared | Column<unknown>>>;

/** Parameters by name. An array parameter also takes nulls. */
type Parameters = Readonly<Record<string, Declared>>;

declare const VALUES: unique symbol;
declare const ROW: unique symbol;

/** A piece of SQL whose parameters have no numbers yet. */
export type Sql<Values = unknown> = readonly (string | Parameters)[] & { readonly [VALUES]?: Values };

type Part = string | number | Parameters | Sql;

type Given<T> = T extends `${infer Plain}?`
  ? Given<Plain> | null
  : T extends `${infer Item extends Scalar}[]`
    ? Given<Item>[]
    : T extends Scalar
      ? PgTypes[T][0]
      : T extends Column<infer Value>
        ? Value
        : never;

type Taken<T> = T extends `${infer Plain}?`
  ? Taken<Plain> | null | undefined
  : T extends `${infer Item extends Scalar}[]`
    ? readonly (Taken<Item> | null | undefined)[]
    : T extends Scalar
      ? PgTypes[T][1]
      : never;

type ValuesOfPart<P> =
  P extends Sql<infer Values>
    ? Values
    : P extends Parameters
      ? { readonly [Name in keyof P]: Taken<P[Name]> }
      : unknown;

type ValuesOf<Parts> = Parts extends readonly [infer First, ...infer Rest]
  ? ValuesOfPart<First> & ValuesOf<Rest>
  : unknown;

/** A statement, declared once and run with values. */
export interface Statement<Values = unknown, Row = unknown> {
  /** A connection prepares a named statement once. */
  readonly config: { readonly name?: string; readonly text: string };
  /** By number. */
  readonly parameters: readonly { readonly name: string; readonly type: PgType }[];
  readonly columns: Columns;
  readonly [VALUES]?: Values;
  readonly [ROW]?: Row;
}

export type RowOf<S> = S extends Statement<unknown, infer Row> ? Row : never;

/** All statements of the loaded modules, for the test that compares them with the database. */
export const declared: Statement[] = [];

/**
 * Writes SQL. `${…}` holds SQL as well: text, a number, or another piece. Values never appear in SQL: a parameter stands for a
 * value, by name and type, and the value comes when the statement runs. Several parameters in one `${…}` are a list with commas.
 *
 * @example
 * sql`SELECT id FROM penstock.replays WHERE status = ${{ status: "text" }} LIMIT ${LIMIT}`
 */
export function sql<const Parts extends readonly Part[]>(
  strings: TemplateStringsArray,
  ...parts: Parts
): Sql<ValuesOf<Parts>> {
  return strings.flatMap((string, at): readonly (string | Parameters)[] => {
    const part: Part = parts[at] ?? "";
    if (isPiece(part)) return [string, ...part];
    return typeof part === "object" ? [string, part] : [`${string}${part}`];
  });
}

// Array.isArray does not narrow to a readonly array.
const isPiece = (part: Part): part is Sql => Array.isArray(part);

/** Gives a column a closer type than that of Postgres, null included. */
export const column = <T>(type: PgType): Column<T> => ({ type });

/**
 * Declares a statement, when its module is loaded: the text, and the columns of its rows, none by default. The same name in several
 * places is one parameter. Connections prepare a statement that has a `name`.
 *
 * @throws TypeError when a parameter has two types.
 */
export function statement<Values, const Rows extends Columns = Record<never, never>>({
  name,
  rows,
  text: pieces,
}: {
  readonly name?: string;
  readonly rows?: Rows;
  readonly text: Sql<Values>;
}): Statement<Values, { -readonly [Name in keyof Rows]: Given<Rows[Name]> }> {
  const parameters: { name: string; type: PgType }[] = [];
  const number = ([parameter, declaration]: [string, Declared]): string => {
    const type = declaration.replace("?", "") as PgType;
    let at = parameters.findIndex((known) => known.name === parameter);
    if (at === -1) at = parameters.push({ name: parameter, type }) - 1;
    const known = parameters[at]?.type;
    if (known !== type) throw new TypeError(`parameter ${parameter} is ${known} in one place and ${type} in another`);
    return `$${at + 1}::${type}`;
  };
  const text = pieces
    .map((piece) => (typeof piece === "string" ? piece : Object.entries(piece).map(number).join(", ")))
    .join("");
  const made = { config: { ...(name !== undefined && { name }), text }, parameters, columns: rows ?? {} };
  declared.push(made);
  return made;
}
