import { createHmac } from "node:crypto";
import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";
import { describe, expect, test } from "vitest";
import { generateSecret, signatureHeaders } from "./sign.ts";

const body = Buffer.from(JSON.stringify({ id: "evt_1", type: "message.received", data: { body: "héllo 👋" } }));
const timestamp = Math.floor(Date.now() / 1_000);
const sign = (secrets: readonly string[], headerName: string | null = null) =>
  signatureHeaders({ id: "msg_1", timestamp, body, secrets, headerName });

describe.each([
  ["Standard Webhooks", Standard],
  ["Svix", Svix],
])("the official verifier of %s", (_, Webhook) => {
  const [older, newer, foreign] = [generateSecret(), generateSecret(), generateSecret()];

  test("accepts what is signed with its secret", () => {
    expect(() => new Webhook(older).verify(body.toString(), sign([older]))).not.toThrow();
  });

  test("accepts either secret while one is rotated out", () => {
    for (const secret of [older, newer]) {
      expect(() => new Webhook(secret).verify(body.toString(), sign([newer, older]))).not.toThrow();
    }
  });

  test("refuses another secret, another body, another id and an old time", () => {
    const headers = sign([newer, older]);
    expect(() => new Webhook(foreign).verify(body.toString(), headers)).toThrow();
    expect(() => new Webhook(older).verify(`${body.toString()} `, headers)).toThrow();
    expect(() => new Webhook(older).verify(body.toString(), { ...headers, "webhook-id": "msg_2" })).toThrow();
    const old = signatureHeaders({
      id: "msg_1",
      timestamp: timestamp - 3_600,
      body,
      secrets: [older],
      headerName: null,
    });
    expect(() => new Webhook(older).verify(body.toString(), old)).toThrow();
  });
});

test("the plain header is the hex HMAC of the raw body, keyed with the secret as it stands, newest first", () => {
  const secrets = [generateSecret(), "an old secret of another form"];
  const expected = secrets.map((secret) => createHmac("sha256", secret).update(body).digest("hex"));
  expect(sign(secrets, "X-Acme-Signature")).toMatchObject({ "X-Acme-Signature": expected.join(", ") });
  expect(Object.keys(sign(secrets))).toEqual(["webhook-id", "webhook-timestamp", "webhook-signature"]);
});

test.each(["plain text", "whsec_not base64", "whsec_abc", "whsec_", "whsec_====", "whsec_abcdefg", "sécret"])(
  "a secret of another form (%j) is a key as its text",
  (secret) => {
    const expected = createHmac("sha256", secret).update(`msg_1.${timestamp}.`).update(body).digest("base64");
    expect(sign([secret])["webhook-signature"]).toBe(`v1,${expected}`);
  },
);

test("the known answer of the specification's example", () => {
  expect(
    signatureHeaders({
      id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
      timestamp: 1_614_265_330,
      body: Buffer.from('{"test": 2432232314}'),
      secrets: ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
      headerName: null,
    })["webhook-signature"],
  ).toBe("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
});

test("nothing is sent unsigned", () => {
  expect(() => sign([])).toThrow("no secret");
});

test("secrets are 32 random bytes", () => {
  const secret = generateSecret();
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(generateSecret()).not.toBe(secret);
});
