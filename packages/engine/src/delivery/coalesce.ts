/**
 * Coalesces calls: all arguments that arrive while a call is in flight go into the next call, since each statement costs a
 * commit. `callAll` must return its answers in the order of its arguments.
 */
export function coalesce<Argument, Answer>(
  callAll: (given: readonly Argument[]) => Promise<readonly Answer[]>,
): (argument: Argument) => Promise<Answer> {
  type Waiting = PromiseWithResolvers<Answer> & { readonly argument: Argument };
  let queue: Waiting[] = [];
  let isCalling = false;

  async function drain(): Promise<void> {
    isCalling = true;
    while (queue.length > 0) {
      const batch = queue;
      queue = [];
      try {
        const answers = await callAll(batch.map(({ argument }) => argument));
        batch.forEach(({ resolve }, at) => resolve(answers[at] as Answer));
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    isCalling = false;
  }

  return (argument) => {
    const waiting = { ...Promise.withResolvers<Answer>(), argument };
    queue.push(waiting);
    if (!isCalling) void drain();
    return waiting.promise;
  };
}
