/**
 * What keeps blame apart in this process. When the process dies, everything that was under way is suspected: so whatever
 * may be what kills it runs with nothing else under way.
 *
 * First come, first served: work that comes while somebody waits to be alone waits behind it, so that neither side can
 * starve the other. Must not be passed again from within: it would wait for itself.
 */
export interface Gate {
  /** Runs beside other shared work. */
  shared<T>(work: () => Promise<T>): Promise<T>;
  /** Runs once all that is under way has ended, with nothing else beside it. */
  alone<T>(work: () => Promise<T>): Promise<T>;
}

export function createGate(): Gate {
  const waiting: { readonly alone: boolean; enter(): void }[] = [];
  let shared = 0;
  let alone = false;

  function letIn(): void {
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      if (alone || (first.alone && shared > 0)) return;
      waiting.shift();
      if (first.alone) alone = true;
      else shared++;
      first.enter();
    }
  }

  async function pass<T>(wantsAlone: boolean, work: () => Promise<T>): Promise<T> {
    await new Promise<void>((enter) => {
      waiting.push({ alone: wantsAlone, enter });
      letIn();
    });
    try {
      return await work();
    } finally {
      if (wantsAlone) alone = false;
      else shared--;
      letIn();
    }
  }

  return { shared: (work) => pass(false, work), alone: (work) => pass(true, work) };
}
