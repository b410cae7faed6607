/**
 * A read-write lock of this process. When the process dies, all work in flight is suspected of having killed it, so what may
 * be a killer runs exclusively.
 *
 * First come, first served: work that arrives while exclusive work waits is queued behind it, so that neither kind starves
 * the other. Not reentrant: work that enters the gate again from within waits for itself.
 */
export interface Gate {
  /** Runs side by side with other shared work. */
  shared<T>(work: () => Promise<T>): Promise<T>;
  /** Runs once all work in flight has ended, with nothing else beside it. */
  exclusive<T>(work: () => Promise<T>): Promise<T>;
}

export function createGate(): Gate {
  const waiting: { readonly exclusive: boolean; enter(): void }[] = [];
  let shared = 0;
  let isExclusive = false;

  function letIn(): void {
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      if (isExclusive || (first.exclusive && shared > 0)) return;
      waiting.shift();
      if (first.exclusive) isExclusive = true;
      else shared++;
      first.enter();
    }
  }

  async function pass<T>(exclusive: boolean, work: () => Promise<T>): Promise<T> {
    await new Promise<void>((enter) => {
      waiting.push({ exclusive, enter });
      letIn();
    });
    try {
      return await work();
    } finally {
      if (exclusive) isExclusive = false;
      else shared--;
      letIn();
    }
  }

  return { shared: (work) => pass(false, work), exclusive: (work) => pass(true, work) };
}
