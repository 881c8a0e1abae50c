/** Why something that was to be read cannot be, or not all of it: a finding `unreadable`, or a refusal. */
export class Unreadable extends Error {
  override readonly name: string = 'Unreadable'
}

/** It is not even JSON: its writer may have left it half written. */
export class NotJson extends Unreadable {
  override readonly name = 'NotJson'
}

/**
 * Runs what may throw for each of millions of lines: to look where it was thrown would take longer than all else, and is of no use.
 */
export function withoutStacks<T>(work: () => T): T {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return work()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}
