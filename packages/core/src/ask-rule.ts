/** What is said of a rule that did not decide. */
export interface RuleFaults {
  /** It threw. */
  failed(cause: unknown): Error
  /** It answered something else than `true` or `false`. */
  undecided(answer: unknown): Error
}

/**
 * Asks a rule that an operator wrote as a function. A promise, which is truthy, must not become a yes.
 *
 * @throws what `faults` makes of one that does not answer `true` or `false`
 */
export function askRule<T>(rule: (asked: T) => unknown, asked: T, faults: RuleFaults): boolean {
  let answer: unknown
  try {
    answer = rule(asked)
  } catch (cause) {
    throw faults.failed(cause)
  }
  if (typeof answer === 'boolean') return answer
  throw faults.undecided(answer)
}
