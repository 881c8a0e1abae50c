import type { Readable } from 'node:stream'
import type { ExitCode } from './exit-code.js'
import type { Output } from './terminal/output.js'

/** What a command may touch of the process. */
export interface Io {
  readonly stdin: Readable
  readonly stdout: Output
}

/** One word after `kest`. */
export interface Command {
  readonly name: string
  /** For the list of commands: a few words. */
  readonly summary: string
  /** What `kest <name> --help` prints. */
  readonly help: string
  /**
   * @param argv what follows the name
   * @throws {UsageError} for arguments that it does not take
   */
  run(argv: readonly string[], io: Io): Promise<ExitCode>
}
