/** What the process answers with. */
export const EXIT = Object.freeze({
  /** Everything holds. */
  holds: 0,
  /** Something does not hold. */
  fails: 1,
  /** A file could not be read as evidence, or the command was used wrongly. */
  unusable: 2,
})

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** Of several results the gravest counts. */
export function gravest(codes: readonly ExitCode[]): ExitCode {
  return Math.max(EXIT.holds, ...codes) as ExitCode
}
