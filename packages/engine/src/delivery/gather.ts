/**
 * Makes one call of all that is asked for while the call before is under way: each statement costs a commit. `callAll`
 * answers in the order in which it was asked.
 */
export function gather<Asked, Answer>(
  callAll: (asked: readonly Asked[]) => Promise<readonly Answer[]>,
): (asked: Asked) => Promise<Answer> {
  type Asking = PromiseWithResolvers<Answer> & { readonly asked: Asked };
  let waiting: Asking[] = [];
  let isCalling = false;

  async function callAgain(): Promise<void> {
    isCalling = true;
    while (waiting.length > 0) {
      const asking = waiting;
      waiting = [];
      try {
        const answers = await callAll(asking.map(({ asked }) => asked));
        asking.forEach(({ resolve }, at) => resolve(answers[at] as Answer));
      } catch (error) {
        for (const { reject } of asking) reject(error);
      }
    }
    isCalling = false;
  }

  return (asked) => {
    const asking = { ...Promise.withResolvers<Answer>(), asked };
    waiting.push(asking);
    if (!isCalling) void callAgain();
    return asking.promise;
  };
}
