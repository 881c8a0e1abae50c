/** The command was used wrongly: said on standard error, exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  /** Whose help says how it is meant; `null` for the program's own. */
  command: string | null = null
}

/** An option that the command does not take. */
export class UnknownOption extends UsageError {
  /** As it was written. */
  readonly option: string

  constructor(option: string, hint: string) {
    super(`unknown option ${option}${hint}`)
    this.option = option
  }
}
