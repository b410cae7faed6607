import { BlockList } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ADVERSARIAL, GOOD } from "../test/adversarial-urls.ts";
import { denial } from "./addresses.ts";
import { createGuard } from "./guard.ts";

/** Nothing here may need DNS. */
const resolver = {
  resolve4: () => Promise.reject(new Error("asked for a name")),
  resolve6: () => Promise.reject(new Error("asked for a name")),
};
const guard = createGuard({ resolver });

test("the tricks are many", () => {
  expect(Object.values(ADVERSARIAL).flat().length).toBeGreaterThan(200);
});

describe.each(Object.entries(ADVERSARIAL))("refused: %s", (_, urls) => {
  test.each(urls)("%j: %s", async (url, rule) => {
    const outcome = guard.checkUrl(url);
    expect(outcome).toEqual({ ok: false, rule, message: expect.stringMatching(/\w/) });
    expect(await guard.check(url)).toEqual(outcome);
  });
});

test.each(GOOD)("accepted: %s", (url, requested) => {
  expect(guard.checkUrl(url)).toEqual({ ok: true, url: new URL(requested) });
});

test("a refusal quotes neither credentials nor what follows the host", () => {
  for (const url of [
    "https://user:s3cret@example.com/s3cret?s3cret",
    "https://10.0.0.1/s3cret?s3cret#s3cret",
    "http://example.com/s3cret",
    "https://example.com:25/s3cret",
    "https://s3cret s3cret/",
    "s3cret",
    `https://example.com/${"s3cret".repeat(1_000)}`,
  ]) {
    expect(JSON.stringify(guard.checkUrl(url))).not.toContain("s3cret");
  }
});

describe("an allow-list", () => {
  const inside = createGuard({ allow: ["10.0.0.0/8", "127.0.0.1", "fd00::/8", "169.254.0.0/16"], resolver });

  test.each([
    "https://10.1.2.3/",
    "http://10.1.2.3/",
    "http://10.1.2.3:3000/hook",
    "https://[::ffff:10.0.0.1]:9000/",
    "http://[64:ff9b::10.0.0.1]/",
    "http://127.0.0.1:3000/",
    "http://[fd12::1]:8080/",
    "http://localhost:3000/",
    "http://169.254.1.1/",
  ])("lets through %s", (url) => {
    expect(inside.checkUrl(url)).toMatchObject({ ok: true });
  });

  test.each([
    ["https://11.0.0.1:81/", "port"],
    ["http://8.8.8.8/", "scheme"],
    ["https://192.168.0.1/", "private-address"],
    ["https://127.0.0.2/", "loopback"],
    ["https://[::1]/", "loopback"],
    ["https://[2002:a00:1::]/", "transition"],
    ["http://user@10.0.0.1/", "credentials"],
    ["ftp://10.0.0.1/", "scheme"],
    // A network around it is not enough.
    ["http://169.254.169.254/", "metadata"],
    ["http://[fd00:ec2::254]/", "metadata"],
    ["http://[::ffff:169.254.169.254]/", "metadata"],
  ])("does not let through %s: %s", (url, rule) => {
    expect(inside.checkUrl(url)).toMatchObject({ ok: false, rule });
  });

  test("allows everything of a family, and a metadata service by its own address only", () => {
    const all = createGuard({ allow: ["0.0.0.0/0", "fd00:ec2::/32", "169.254.169.254/32"], resolver });
    expect(all.checkUrl("http://192.168.0.1:81/")).toMatchObject({ ok: true });
    expect(all.checkUrl("http://169.254.169.254/")).toMatchObject({ ok: true });
    expect(all.checkUrl("http://100.100.100.200/")).toMatchObject({ rule: "metadata" });
    expect(all.checkUrl("http://[fd00:ec2::1]/")).toMatchObject({ ok: true });
    expect(all.checkUrl("http://[fd00:ec2::254]/")).toMatchObject({ rule: "metadata" });
    expect(createGuard({ allow: ["::/0"] }).checkUrl("https://10.0.0.1/")).toMatchObject({ rule: "private-address" });
  });

  test.each(["10.0.0.0/33", "10.0.0/8", "fd00::/129", "localhost", "10.0.0.1/", "10.0.0.1/-1", "fe80::1%eth0", ""])(
    "that holds %j is refused",
    (network) => {
      expect(() => createGuard({ allow: [network] })).toThrow(/is not a network/);
    },
  );
});

test("ports are what was listed", () => {
  const other = createGuard({ ports: [9443] });
  expect(other.checkUrl("https://example.com:9443/")).toMatchObject({ ok: true });
  expect(other.checkUrl("https://example.com/")).toMatchObject({ rule: "port" });
});

test("what cannot be judged is refused", () => {
  for (const address of ["fe80::1%eth0", "2606:4700::1111%1", "010.0.0.1", "0x7f.1", "example.com", ""]) {
    expect(denial(address)).toBeDefined();
  }
});

test("networks hold what arithmetic says they hold, whatever BlockList becomes", () => {
  const toText = (bits: bigint): string =>
    Array.from({ length: 8 }, (_, group) => ((bits >> BigInt(112 - 16 * group)) & 0xffffn).toString(16)).join(":");
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
      fc.integer({ min: 0, max: 128 }),
      fc.integer({ min: 0, max: 127 }),
      (base, prefix, flipped) => {
        const list = new BlockList();
        list.addSubnet(toText(base), prefix, "ipv6");
        // One bit away: outside exactly where that bit is part of the network.
        expect(list.check(toText(base ^ (1n << BigInt(127 - flipped))), "ipv6")).toBe(flipped >= prefix);
      },
    ),
    { numRuns: 500 },
  );
});

test("an IPv4 address is judged alike in each of its disguises", () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      for (const disguised of [`::ffff:${address}`, `64:ff9b::${address}`]) {
        expect(denial(disguised)).toEqual(denial(address));
      }
    }),
    { numRuns: 500 },
  );
});
