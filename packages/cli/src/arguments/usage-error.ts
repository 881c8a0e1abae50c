/** The command was used wrongly: said on standard error, exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  /** Whose help says how it is meant; `null` for the program's own. */
  command: string | null = null
}
