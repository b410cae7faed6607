import { expect, test } from "vitest";
import { readRequestTarget } from "./request-target.ts";

test.each([
  ["/webhooks/a?b=c", "/webhooks/a?b=c", null],
  ["/webhooks/a?b=http://c/d", "/webhooks/a?b=http://c/d", null],
  ["http://h:80/webhooks/a?b=c", "/webhooks/a?b=c", "h:80"],
  ["HTTPS://User:pw@Hooks.example.com/a", "/a", "Hooks.example.com"],
  ["http://[2001:db8::1]:8080/a", "/a", "[2001:db8::1]:8080"],
  ["http://a.example?b", "/?b", "a.example"],
  ["http://a.example", "/", "a.example"],
  ["*", "*", null],
  ["", "", null],
])("the target %j is %j at %j", (target, url, host) => {
  expect(readRequestTarget(target)).toEqual({ url, host });
});
