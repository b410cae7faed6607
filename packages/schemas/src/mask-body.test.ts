import fc from "fast-check";
import { expect, test } from "vitest";
import { createHide, maskBody } from "./mask-body.ts";

const FROM = [["data", "from"]];

test.each([
  ['{"data":{"from":"+39333","n":1}}', FROM, '{"data":{"from":"•••","n":1}}'],
  // All else is as it was sent: numbers, blanks, escapes, members that come twice.
  ['{ "id": 9007199254740993, "data": { "from" : 42 , "to":"\\u0041" } }', FROM, null],
  [
    '{"data":{"from":{"number":"1","tags":["a",true,null]}}}',
    FROM,
    '{"data":{"from":{"number":"•••","tags":["•••","•••","•••"]}}}',
  ],
  ['{"data":{"from":"a","from":"b"}}', FROM, '{"data":{"from":"•••","from":"•••"}}'],
  ['{"d\\u0061ta":{"from":"a"}}', FROM, '{"d\\u0061ta":{"from":"•••"}}'],
  ['{"data":[{"from":"a"},[{"from":"b"}]],"from":"c"}', FROM, '{"data":[{"from":"•••"},[{"from":"•••"}]],"from":"c"}'],
  [
    '{"other":{"from":"a"},"data":{"to":"b","deep":{"from":"c"}}}',
    FROM,
    '{"other":{"from":"a"},"data":{"to":"b","deep":{"from":"c"}}}',
  ],
  ['{"a":1,"b":["x"]}', [[]], '{"a":"•••","b":["•••"]}'],
  ['"text"', [[]], '"•••"'],
  ["From=%2B39333&Body=Hi+there&To=1&From=2", [["From"], ["Body"]], "From=•••&Body=•••&To=1&From=•••"],
  ["From=%2B39333", [[]], "•••"],
  ["neither: a JSON\nnor=a form", [["From"]], "•••"],
  ['{"data":{"from":"a"}', FROM, "•••"],
  ["whatever it is", [], "whatever it is"],
])("%s", (body, paths, masked) => {
  expect(maskBody(Buffer.from(body), paths)).toBe(masked ?? body.replace("42", '"•••"'));
});

test("what stands at a path is masked in texts, as a value and as it was sent, and nothing that is short", () => {
  const body = Buffer.from('{"data":{"from":"Ada \\"L\\" +39333","short":"ab","n":123456,"to":"somebody"}}');
  const hide = createHide(body, [
    ["data", "from"],
    ["data", "short"],
    ["data", "n"],
  ]);
  expect(hide('no Ada "L" +39333, in {"from":"Ada \\"L\\" +39333"}: ab 123456 somebody')).toBe(
    'no •••, in {"from":"•••"}: ab ••• somebody',
  );
  expect(createHide(Buffer.from("From=%2B39333&To=x"), [["From"]])("from +39333 or %2B39333")).toBe("from ••• or •••");
  // A text that was cut.
  expect(hide('I do not take Ada "L" +3')).toBe("I do not take •••");
  expect(createHide(body, [])("Ada")).toBe("Ada");
});

test("of any JSON each value is masked, and each name stays", () => {
  const mask = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(mask);
    if (typeof value !== "object" || value === null) return "•••";
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, mask(item)]));
  };
  fc.assert(
    fc.property(fc.json(), fc.boolean(), (json, isIndented) => {
      const value: unknown = JSON.parse(json);
      const body = Buffer.from(isIndented ? JSON.stringify(value, null, 2) : json);
      expect(JSON.parse(maskBody(body, [[]]))).toEqual(mask(value));
    }),
  );
});
