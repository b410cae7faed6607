/** A private server that a test may do everything to that happens to servers. All of it keeps the port. */
export interface ServerUnderTest {
  readonly url: string;
  readonly port: number;
  /** Of the running server; another one after each `start`. */
  readonly pid: number;
  /** Starts it again after `stop` or `kill`, on what its disk holds; does nothing while it runs. */
  start(): Promise<void>;
  /** Shuts it down in good order. */
  stop(): Promise<void>;
  /** Ends it at once, as a crash does (SIGKILL to all its processes). */
  kill(): Promise<void>;
  /** Makes it hang: connections are accepted, nothing is answered (SIGSTOP to all its processes). */
  freeze(): Promise<void>;
  /** Lets a frozen one go on. */
  thaw(): Promise<void>;
  /** Ends it and removes its data; done by itself at the end of the test file. */
  remove(): Promise<void>;
}
