import { toIdentifier } from "./to-identifier.ts";

/** A source that verifies an HMAC of the body in hex, and reads the usual fields. */
export function sourceTemplate(name: string): string {
  return `import { defineSource, type Source, type SourceOptions, verifyHmac } from "@penstock/sources";

/** ${name}: \`X-Signature\` is an HMAC-SHA256 of the raw body in hex, keyed with the webhook's signing secret. */
export function ${toIdentifier(name)}(options: SourceOptions = {}): Source {
  return defineSource(
    {
      provider: "${name}", // stands in front of its types: ${name}.order.paid
      verify: (request, secrets) =>
        verifyHmac({ signatures: [request.header("x-signature")], content: [request.body] }, secrets),
      identify: (_request, data) => ({
        // A text, the same for each time that the event is sent: what duplicates are known by.
        // One that is a number is rounded in data: sliceJson(request.body, ["id"])?.toString() has it exactly.
        id: data["id"],
        type: data["type"],
        createdAt: data["createdAt"], // text with a zone (ISO 8601), or a number of seconds or milliseconds since 1970
      }),
    },
    options,
  );
}
`;
}

/** Its test: what the provider would sign is accepted, and nothing else. */
export function sourceTestTemplate(name: string): string {
  const identifier = toIdentifier(name);
  return `import { createHmac } from "node:crypto";
import { requestOfBody, type SignedRequest } from "@penstock/sources";
import { expect, test } from "vitest";
import { ${identifier} } from "./${name}.ts";

const secret = "a_secret_of_sixteen_bytes";
const body = Buffer.from('{"id":"1","type":"order.paid","createdAt":"2026-06-01T14:32:00Z"}');
const signature = createHmac("sha256", secret).update(body).digest("hex");

function signed(headers: Record<string, string>, sent = body): SignedRequest {
  return { ...requestOfBody(sent), header: (name) => headers[name] };
}

test("what ${name} signed is accepted, and nothing else", () => {
  const verify = (request: SignedRequest, secrets = [secret]) => ${identifier}().verify(request, secrets, Date.now());
  expect(verify(signed({ "x-signature": signature }))).toEqual({ ok: true, secretIndex: 0 });
  expect(verify(signed({}))).toMatchObject({ reason: "missing-signature" });
  expect(verify(signed({ "x-signature": "no signature" }))).toMatchObject({ reason: "malformed-signature" });
  expect(verify(signed({ "x-signature": signature }), ["another_secret"])).toMatchObject({ reason: "mismatch" });
  expect(verify(signed({ "x-signature": signature }, Buffer.from("{}")))).toMatchObject({ reason: "mismatch" });
});

test("an event of ${name} is known by its id and its type", () => {
  expect(${identifier}().identify(signed({}))).toMatchObject({ id: "1", type: "${name}.order.paid", problem: null });
});
`;
}
