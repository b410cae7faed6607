import { createHmac } from "node:crypto";
import { BUZZBIP_EVENT_TYPES } from "@penstock/schemas";
import { fixtures, makeEvent, sampleBody } from "@penstock/schemas/fixtures";
import { describe, expect, test } from "vitest";
import { buzzbip, signBuzzBip } from "./buzzbip.ts";
import { requestOfBody, type Verification } from "./define-source.ts";

const source = buzzbip();
const identify = (body: Buffer) => source.identify(requestOfBody(body));
const check = (body: Buffer) => source.check({ body, eventId: null, type: null, createdAt: null });

const secret = "whsec_penstock_known_answer";
const sample = Buffer.from(sampleBody);

/** Computed with `openssl dgst -sha256 -hmac`, not with the code under test. */
const knownAnswers = [
  {
    what: "the documented sample",
    key: secret,
    body: sample,
    hex: "d7cb5b94ac8eb2c36c5326249587cd854854643bbb6da87888e6cc096776a156",
    base64: "18tblKyOssNsUyYklYfNhUhUZDu7bah4iObMCWd2oVY=",
  },
  {
    what: "a secret that is not ASCII",
    key: "clé secrète ✓",
    body: sample,
    hex: "63f26138130e596acd1d7796fd2e4da406e8f3782f41280ea8b83d0c4a608bf2",
    base64: "Y/JhOBMOWWrNHXeW/S5NpAbo83gvQSgOqLg9DEpgi/I=",
  },
  {
    what: "an empty body",
    key: secret,
    body: Buffer.alloc(0),
    hex: "81d953f08ccd83ca4f66628c00abf88a2681b7b33e45a2314a4eef87d4778d2f",
    base64: "gdlT8IzNg8pPZmKMAKv4iiaBt7M+RaIxSk7vh9R3jS8=",
  },
  {
    what: "bytes that are no text",
    key: secret,
    body: Buffer.from('\x00\xff\xfe{"a":1}\x00', "latin1"),
    hex: "4c7cea9187a34c67b80057784a4b02113347cf2ef85654afc29b87c06ecaeb68",
    base64: "THzqkYejTGe4AFd4SksCETNHzy74VlSvwpuHwG7K62g=",
  },
];

const hex = "d7cb5b94ac8eb2c36c5326249587cd854854643bbb6da87888e6cc096776a156";
const base64 = "18tblKyOssNsUyYklYfNhUhUZDu7bah4iObMCWd2oVY=";

function verify(signature: string | undefined, secrets: readonly string[] = [secret], body = sample): Verification {
  const headers: Record<string, string | undefined> = { "x-buzzbip-signature": signature };
  return source.verify({ ...requestOfBody(body), header: (name) => headers[name] }, secrets, 0);
}

const matched: Verification = { ok: true, secretIndex: 0 };
const refused = (reason: string) => ({ ok: false, reason });

describe("verify", () => {
  describe.each(knownAnswers)("accepts $what", ({ key, body, hex, base64 }) => {
    test.each([
      ["lower-case hex", hex],
      ["upper-case hex", hex.toUpperCase()],
      ["hex of both cases", hex.replaceAll("a", "A")],
      ["sha256= and lower-case hex", `sha256=${hex}`],
      ["sha256= and upper-case hex", `sha256=${hex.toUpperCase()}`],
      ["base64", base64],
      ["base64 without padding", base64.replace("=", "")],
    ])("signed in %s", (_, signature) => {
      expect(verify(signature, [key], body)).toEqual(matched);
    });
  });

  test.each([
    ["no header", undefined],
    ["an empty header", ""],
  ])("calls %s a missing signature", (_, signature) => {
    expect(verify(signature)).toEqual(refused("missing-signature"));
  });

  test.each([
    ["a space", " "],
    ["a word", "signature"],
    ["63 hex digits", hex.slice(1)],
    ["65 hex digits", `${hex}0`],
    ["128 hex digits", hex + hex],
    ["a digit that is not hex", hex.replace("d", "g")],
    ["a character whose low byte is a hex digit", hex.replace("d", "\u0164")],
    ["spaces around", ` ${hex} `],
    ["a line break after", `${hex}\n`],
    ["quotes around", `"${hex}"`],
    ["0x in front", `0x${hex}`],
    ["the prefix alone", "sha256="],
    ["the prefix twice", `sha256=sha256=${hex}`],
    ["the prefix in upper case", `SHA256=${hex}`],
    ["the prefix of another hash", `sha1=${hex}`],
    ["the prefix before base64", `sha256=${base64}`],
    ["a name as of other providers", `v1=${hex}`],
    ["nothing but commas", ", ,"],
    ["a list of halves", `${hex.slice(0, 32)}, ${hex.slice(32)}`],
    ["more signatures than are looked at", Array.from({ length: 17 }, () => hex).join(", ")],
    ["base64 of 31 bytes", Buffer.alloc(31, 1).toString("base64")],
    ["base64 of 33 bytes", Buffer.alloc(33, 1).toString("base64")],
    ["base64 padded twice", `${base64}=`],
    ["base64 with a space inside", base64.replace("M", " ")],
    ["base64 in the URL alphabet", Buffer.alloc(32, 0xfb).toString("base64url")],
    ["base64 whose last character carries bits that mean nothing", base64.replace("VY=", "VZ=")],
    ["a very long value", "0".repeat(1_000_000)],
    ["a very long value that begins well", `sha256=${hex}${" ".repeat(1_000_000)}`],
  ])("calls %s malformed", (_, signature) => {
    expect(verify(signature)).toEqual(refused("malformed-signature"));
  });

  test.each([
    ["a wrong one first", `${"0".repeat(64)}, ${hex}`],
    ["a wrong one last", `sha256=${hex}, ${"0".repeat(64)}`],
    ["no blank between them", `${"0".repeat(64)},${hex}`],
    ["other forms", `${Buffer.alloc(32).toString("base64")}, sha256=${hex.toUpperCase()}`],
    ["what is no signature", `v1=${hex}, ${base64}`],
    ["the same one twice", `${hex}, ${hex}`],
    ["as many as are looked at", `${`${"0".repeat(64)}, `.repeat(15)}${hex}`],
  ])("accepts a list of signatures of which one is right, with %s", (_, signature) => {
    expect(verify(signature)).toEqual(matched);
  });

  test("refuses a signature in which any one bit is flipped", () => {
    const bytes = Buffer.from(hex, "hex");
    for (let bit = 0; bit < 256; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(verify(flipped.toString("hex"))).toEqual(refused("mismatch"));
      expect(verify(flipped.toString("base64"))).toEqual(refused("mismatch"));
    }
  });

  test("refuses a body in which any one byte is changed, added or missing", () => {
    for (let index = 0; index < sample.length; index++) {
      const changed = Buffer.from(sample);
      changed[index] = (changed[index] ?? 0) ^ 1;
      expect(verify(hex, [secret], changed)).toEqual(refused("mismatch"));
    }
    expect(verify(hex, [secret], sample.subarray(0, -1))).toEqual(refused("mismatch"));
    expect(verify(hex, [secret], Buffer.concat([sample, Buffer.from("\n")]))).toEqual(refused("mismatch"));
  });

  test("accepts every live secret while one is being rotated out, and says which it was", () => {
    const secrets = ["the_new_one_of_the_rotation", secret, "one_more_that_is_live"];
    for (const [index, live] of secrets.entries()) {
      const signature = createHmac("sha256", live).update(sample).digest("hex");
      expect(verify(signature, secrets)).toEqual({ ok: true, secretIndex: index });
    }
    expect(verify(hex, ["the_new_one_of_the_rotation"])).toEqual(refused("mismatch"));
  });

  test("names the first place of a secret that is listed twice", () => {
    expect(verify(hex, ["another", secret, secret])).toEqual({ ok: true, secretIndex: 1 });
  });

  test("refuses everything when no secret is live", () => {
    expect(verify(hex, [])).toEqual(refused("mismatch"));
  });

  test("never accepts what was signed with the empty secret, which everybody knows", () => {
    const forged = createHmac("sha256", "").update(sample).digest("hex");
    expect(verify(forged, ["", secret])).toEqual(refused("mismatch"));
    expect(verify(hex, ["", secret])).toEqual({ ok: true, secretIndex: 1 });
  });
});

test.each(knownAnswers)("sign writes lower-case hex for $what", ({ key, body, hex }) => {
  expect(signBuzzBip(body, key)).toEqual({ "X-BuzzBip-Signature": hex });
});

describe("identify", () => {
  test("reads the documented sample", () => {
    expect(identify(sample)).toEqual({
      id: "evt_7f3a9b2c",
      type: "message.received",
      createdAt: new Date("2026-06-01T14:32:00Z"),
      subjects: ["cnt_def456", "conv_xyz789", "msg_abc123"],
      timeUnread: false,
      problem: null,
    });
  });

  test.each(BUZZBIP_EVENT_TYPES)("puts the contact of %s first, as the one to sort by", (type) => {
    expect(identify(Buffer.from(JSON.stringify(fixtures[type]))).subjects[0]).toBe("cnt_def456");
  });

  test("sorts subjects by rank, not by their place in the body", () => {
    const data = { workflowId: "w", messageId: "m", conversationId: "v" };
    expect(identifyJson({ data }).subjects).toEqual(["v", "m", "w"]);
  });

  test("reads an event of a type that nobody has heard of", () => {
    expect(identifyJson({ id: "evt_1", type: "invoice.paid", data: {} })).toMatchObject({
      id: "evt_1",
      type: "invoice.paid",
      timeUnread: false,
      problem: null,
    });
  });

  test("skips a byte order mark", () => {
    expect(identify(Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), sample])).id).toBe("evt_7f3a9b2c");
  });

  const nothing = { id: null, type: null, createdAt: null, timeUnread: false, subjects: [] };

  test.each([
    ["nothing at all", "", "not-json"],
    ["text", "hello", "not-json"],
    ["half an event", sampleBody.slice(0, 100), "not-json"],
    ["two events", sampleBody + sampleBody, "not-json"],
    ["a NUL byte", "\0", "not-json"],
    ["a byte order mark alone", "\ufeff", "not-json"],
    ["an object nested too badly", "[".repeat(500_000), "not-json"],
    ["null", "null", "no-envelope"],
    ["a number", "42", "no-envelope"],
    ["a string", '"evt_1"', "no-envelope"],
    ["a list of events", `[${sampleBody}]`, "no-envelope"],
    ["an empty object", "{}", "no-envelope"],
    ["an envelope in a __proto__ key", `{"__proto__": ${sampleBody}}`, "no-envelope"],
    ["deep nesting", `${"[".repeat(500_000)}${"]".repeat(500_000)}`, "no-envelope"],
  ])("makes nothing of %s, and says why", (_, body, problem) => {
    expect(identify(Buffer.from(body))).toEqual({ ...nothing, problem });
  });

  test.each([
    ["a lone continuation byte", [0x80]],
    ["an overlong slash", [0xc0, 0xaf]],
    ["an encoded surrogate", [0xed, 0xa0, 0x80]],
    ["a code point past the last", [0xf4, 0x90, 0x80, 0x80]],
    ["a character cut short", [0xe2, 0x82]],
    ["UTF-16", [0xff, 0xfe, 0x7b, 0x00]],
  ])("calls %s not UTF-8, even inside good JSON", (_, bytes) => {
    const body = Buffer.concat([
      Buffer.from('{"id":"evt_'),
      Buffer.from(bytes),
      Buffer.from('","type":"a","data":{}}'),
    ]);
    expect(identify(body)).toEqual({ ...nothing, problem: "not-utf8" });
    expect(identify(Buffer.from(bytes))).toEqual({ ...nothing, problem: "not-utf8" });
  });

  test.each([undefined, null, "", 7, true, [], {}, ["evt_1"]])(
    "does not take %j for an id, but returns the rest",
    (id) => {
      expect(identifyJson({ ...fixtures["contact.created"], id })).toEqual({
        id: null,
        type: "contact.created",
        createdAt: new Date("2026-06-01T14:31:58Z"),
        timeUnread: false,
        subjects: ["cnt_def456"],
        problem: "no-envelope",
      });
    },
  );

  test.each([undefined, null, "", 7, {}, "t".repeat(257), "a\0b", "\ud800"])("does not take %j for a type", (type) => {
    expect(identifyJson({ id: "evt_1", type })).toMatchObject({ id: "evt_1", type: null, problem: "no-envelope" });
  });

  test.each([["i".repeat(1_000_000)], ["evt\0\u0001"], ["\ud800"], ["__proto__"], ["🎈"]])(
    "returns an id as it was sent, however odd (case %#)",
    (id) => {
      expect(identifyJson({ id, type: "a" })).toMatchObject({ id, problem: null });
    },
  );

  test.each([undefined, null, 7, {}, "", "yesterday", "2026-06-31T00:00:00Z", "99999-01-01T00:00:00Z"])(
    "does not take %j for a time, says whether one was sent, and has no problem with its identity",
    (createdAt) => {
      const timeUnread = createdAt !== undefined && createdAt !== null && createdAt !== "";
      const read = { createdAt: null, timeUnread, problem: null };
      expect(identifyJson({ id: "evt_1", type: "a", createdAt })).toMatchObject(read);
    },
  );

  test.each([undefined, null, "cnt_1", 7, ["cnt_1"], { contactId: 7 }, { contactId: "" }, { contactId: { id: "a" } }])(
    "finds no subject in data = %j",
    (data) => {
      expect(identifyJson({ id: "evt_1", type: "a", data })).toMatchObject({ subjects: [], problem: null });
    },
  );

  test("leaves out subjects that Postgres could not store or index, and keeps their neighbours", () => {
    const data = {
      contactId: "c".repeat(257),
      conversationId: "a\0b",
      messageId: "\udfff",
      workflowId: "w".repeat(256),
    };
    expect(identifyJson({ id: "evt_1", type: "a", data }).subjects).toEqual(["w".repeat(256)]);
  });

  test("never throws on a body that is damaged anywhere", () => {
    for (let index = 0; index < sample.length; index++) {
      for (const byte of [0x00, 0x22, 0x5c, 0x7b, 0xc3, 0xff]) {
        const damaged = Buffer.from(sample);
        damaged[index] = byte;
        expect(() => [identify(damaged), check(damaged)]).not.toThrow();
      }
      expect(identify(sample.subarray(0, index)).problem).toBe("not-json");
    }
  });

  function identifyJson(value: unknown) {
    return identify(Buffer.from(JSON.stringify(value)));
  }
});

describe("check", () => {
  const checkJson = (value: unknown) => check(Buffer.from(JSON.stringify(value)));

  test.each(BUZZBIP_EVENT_TYPES)("accepts %s with unknown fields and hands it on whole", (type) => {
    const event = { ...makeEvent(type, { data: { unknown: ["kept"] } }), unknown: "kept" };
    expect(checkJson(event)).toEqual({ ok: true, event });
  });

  test.each(["invoice.paid", "message.Received", "constructor", "__proto__", "toString", "t".repeat(1_000)])(
    "calls %s an unknown type, whatever else is wrong",
    (type) => {
      expect(checkJson({ id: "evt_1", type, createdAt: "yesterday" })).toMatchObject({
        ok: false,
        reason: "unknown-type",
      });
    },
  );

  test.each([
    ["a required id that is missing", { data: { messageId: "m", contactId: "c" } }, "data.conversationId"],
    [
      "a field of the wrong type",
      { data: { messageId: "m", conversationId: "v", contactId: "c", body: 7 } },
      "data.body",
    ],
    ["no id", { id: undefined }, "id"],
    ["no type", { type: undefined }, "type"],
    ["a type that is no string", { type: 7 }, "type"],
    ["a time that is none", { createdAt: "yesterday" }, "createdAt"],
    ["no data", { data: undefined }, "data"],
  ])("calls %s an invalid shape and names the path", (_, change, path) => {
    const result = checkJson({ ...fixtures["message.received"], ...change });
    expect(result).toMatchObject({ ok: false, reason: "invalid-shape", detail: expect.stringMatching(`^${path}: `) });
  });

  test.each([
    ["not JSON", Buffer.from("{"), "the body is not JSON"],
    ["not UTF-8", Buffer.from([0xff]), "the body is not UTF-8"],
    ["no object", Buffer.from("[]"), "expected object"],
  ])("calls a body that is %s an invalid shape", (_, body, detail) => {
    expect(check(body)).toMatchObject({
      ok: false,
      reason: "invalid-shape",
      detail: expect.stringContaining(detail),
    });
  });

  test("tells rules and never values, in a line that stays short", () => {
    const tags = Array.from({ length: 1_000 }, () => ({ name: "PRIVATE" }));
    const data = { contactId: ["PRIVATE"], name: { first: "PRIVATE" }, tags };
    const result = checkJson({ id: "evt_1", type: "contact.created", createdAt: "PRIVATE", data });
    expect(result).toMatchObject({ ok: false, detail: expect.stringMatching(/; and \d+ more$/) });
    if (result.ok) return;
    expect(result.detail).not.toContain("PRIVATE");
    expect(result.detail.length).toBeLessThan(500);
  });
});
