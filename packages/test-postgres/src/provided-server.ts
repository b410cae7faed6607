/** A server that a whole test run uses. */
export interface ProvidedServer {
  readonly url: string;
  /** Ends it, or leaves a server that was given as it was found. */
  end(): Promise<void>;
}

/** The Postgres of a run: of which server, and what the names of the run's databases have in them. */
export interface ProvidedPostgres {
  /** Of a role that may create databases. */
  readonly url: string;
  readonly runId: string;
}
