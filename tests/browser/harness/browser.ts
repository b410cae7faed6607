import { findChromium } from "@penstock/testing/chromium";
import { type Browser, chromium } from "playwright-core";

/** Starts a Chromium that reaches this machine only: a page that loads something from elsewhere fails its test. */
export async function launchBrowser(): Promise<Browser> {
  const { file, env } = await findChromium();
  return chromium.launch({
    executablePath: file,
    env: { ...definedOnly(process.env), ...env },
    args: [
      "--disable-gpu",
      "--disable-quic",
      "--disable-sync",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ],
    timeout: 120_000,
  });
}

function definedOnly(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
