import { BlockList, isIP } from "node:net";

/** Why an address is not one to deliver to. */
export type AddressRule =
  | "loopback"
  | "private-address"
  | "shared-address"
  | "link-local"
  | "metadata"
  | "multicast"
  | "unspecified"
  | "documentation"
  | "transition"
  | "reserved";

interface Network {
  readonly rule: AddressRule;
  /** What it is, to follow "is". */
  readonly what: string;
  readonly networks: readonly string[];
}

/**
 * Where clouds answer their own machines with credentials. Most lie within a network below; some (168.63.129.16) are
 * public to look at. Allowing a network around one does not allow it: it has to be named by itself.
 */
const METADATA = [
  "169.254.169.254/32", // AWS, Azure, Google, Oracle, DigitalOcean, OpenStack
  "169.254.169.253/32", // AWS, DNS
  "169.254.170.2/32", // AWS, containers
  "169.254.170.23/32", // AWS, pods
  "100.100.100.200/32", // Alibaba
  "168.63.129.16/32", // Azure
  "192.0.0.192/32", // Oracle
  "fd00:ec2::254/128", // AWS
  "fd00:ec2::253/128",
  "fd00:ec2::23/128",
  "fd20:ce::254/128", // Google
  "fe80::a9fe:a9fe/128", // OpenStack
];

/**
 * The IANA special-purpose registries (iana-ipv4-special-registry, iana-ipv6-special-registry), and multicast; of the
 * more specific first. What is "globally reachable" there (AS112, AMT) is left out, but for the odds and ends of
 * 2001::/23, in which nobody receives webhooks.
 */
const NETWORKS: readonly Network[] = [
  { rule: "metadata", what: "a cloud's metadata service", networks: METADATA },
  { rule: "unspecified", what: "an address of “this” network", networks: ["0.0.0.0/8", "::/128"] },
  { rule: "loopback", what: "a loopback address", networks: ["127.0.0.0/8", "::1/128"] },
  {
    rule: "private-address",
    what: "a private address",
    networks: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"],
  },
  { rule: "shared-address", what: "an address of a carrier's own network", networks: ["100.64.0.0/10"] },
  { rule: "link-local", what: "a link-local address", networks: ["169.254.0.0/16", "fe80::/10"] },
  { rule: "multicast", what: "a multicast address", networks: ["224.0.0.0/4", "ff00::/8"] },
  {
    rule: "documentation",
    what: "an address for examples",
    networks: ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"],
  },
  {
    rule: "transition",
    what: "an address that leads to another one (6to4, Teredo, NAT64 of one's own, IPv4-compatible)",
    networks: ["192.88.99.0/24", "2002::/16", "2001::/32", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96"],
  },
  {
    rule: "reserved",
    what: "a reserved address",
    networks: ["192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "2001::/23", "100::/64", "5f00::/16"],
  },
];

const DENIED = NETWORKS.map((network) => ({ ...network, list: toBlockList(network.networks) }));
const NAMED_ALONE = toBlockList(METADATA);
/** All of IPv6 that is given out to be reached. What lies outside is refused without being known. */
const GLOBAL_IPV6 = toBlockList(["2000::/3"]);
/** IPv4-mapped, and NAT64: both lead to the IPv4 address in their last four bytes. */
const EMBEDDING = toBlockList(["::ffff:0:0/96", "64:ff9b::/96"]);

/** What is to be said of an address; `undefined` where it is public. */
export function denial(address: string): { readonly rule: AddressRule; readonly what: string } | undefined {
  const judged = withoutDisguise(address);
  // Not an address, or one with a zone (`fe80::1%eth0`): BlockList would know nothing against it.
  if (judged === undefined) return { rule: "reserved", what: "no address that can be judged" };
  const family = familyOf(judged);
  const found = DENIED.find(({ list }) => list.check(judged, family));
  if (found) return { rule: found.rule, what: found.what };
  if (family === "ipv6" && !GLOBAL_IPV6.check(judged, family)) return { rule: "reserved", what: "a reserved address" };
  return undefined;
}

/** Whether an address lies in one of these networks, by what it leads to. */
export type AllowList = (address: string) => boolean;

/** Throws where a text is no network (`10.0.0.0/8`, `fd00::/8`) or address. */
export function createAllowList(networks: readonly string[]): AllowList {
  // By family: a BlockList compares IPv4 addresses with IPv6 networks too, so that ::/0 would allow all of them.
  const lists = {
    ipv4: toBlockList(networks.filter((network) => !network.includes(":"))),
    ipv6: toBlockList(networks.filter((network) => network.includes(":"))),
  };
  const named = toBlockList(networks.filter((network) => /^(?:[^/]+|[^:]+\/32|.+\/128)$/.test(network)));
  return (address) => {
    const judged = withoutDisguise(address);
    if (judged === undefined) return false;
    const family = familyOf(judged);
    return (NAMED_ALONE.check(judged, family) ? named : lists[family]).check(judged, family);
  };
}

/** An IPv4 address in IPv6 clothing as what it is; `undefined` for what is no address. */
function withoutDisguise(address: string): string | undefined {
  if (address.includes("%")) return undefined;
  switch (isIP(address)) {
    case 4:
      return address;
    case 6:
      return EMBEDDING.check(address, "ipv6") ? lastFourBytes(address) : address;
    default:
      return undefined;
  }
}

function lastFourBytes(address: string): string {
  // URL writes every IPv6 address in one way: groups in hex, none with dots. An empty group is a part of "::".
  const groups = new URL(`http://[${address}]/`).hostname.slice(1, -1).split(":");
  return groups
    .slice(-2)
    .map((group) => Number.parseInt(group || "0", 16))
    .flatMap((group) => [group >> 8, group & 255])
    .join(".");
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return address.includes(":") ? "ipv6" : "ipv4";
}

function toBlockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [, address = "", prefix] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(network) ?? [];
    const most = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
    if (address.includes("%") || Number(prefix ?? most) > most || most === -1) {
      throw new Error(`"${network}" is not a network: write one as 10.0.0.0/8 or fd00::/8, or an address`);
    }
    list.addSubnet(address, Number(prefix ?? most), familyOf(address));
  }
  return list;
}
