import { callDocker } from "./docker.ts";
import { eventually } from "./eventually.ts";
import type { ServerUnderTest } from "./server-under-test.ts";

/** What of a started container of testcontainers is needed here. */
interface StartedContainer {
  getId(): string;
  stop(options: { timeout: number }): Promise<unknown>;
}

/**
 * A server in Docker as a test sees it. Its port has to be one of this machine that was chosen beforehand: Docker would
 * give a container that is started again another one.
 */
export function toServerUnderTest(
  container: StartedContainer,
  { url, port, isReady }: { url: string; port: number; isReady: () => Promise<boolean> },
): ServerUnderTest {
  // A container that was stopped or killed is started again by its id: testcontainers would remove it.
  const act = async (action: string): Promise<void> => {
    const status = await callDocker("POST", `/containers/${container.getId()}/${action}`, 30_000);
    // 304 and 409: it is in that state already.
    if (status >= 400 && status !== 409) throw new Error(`Docker answered ${status} to ${action} of a container.`);
  };
  // Kept here, since Docker's versions answer in different ways when one that is not paused is to go on.
  let frozen = false;
  const thaw = async (): Promise<void> => {
    if (frozen) await act("unpause");
    frozen = false;
  };
  return {
    url,
    port,
    pid: 0,
    start: async () => {
      await act("start");
      await eventually(
        async () => {
          if (!(await isReady())) throw new Error(`The server in Docker does not answer on port ${port}.`);
        },
        { timeoutMs: 60_000 },
      );
    },
    stop: () => act("stop"),
    kill: async () => {
      await thaw(); // not every Docker ends a paused container
      await act("kill");
    },
    freeze: async () => {
      await act("pause");
      frozen = true;
    },
    thaw,
    remove: async () => {
      await thaw();
      await container.stop({ timeout: 0 });
    },
  };
}
