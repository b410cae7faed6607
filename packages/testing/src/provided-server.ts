/** A server that a whole test run uses. */
export interface ProvidedServer {
  url: string;
  /** Ends it, or leaves a server that was given as it was found. */
  end(): Promise<void>;
}
