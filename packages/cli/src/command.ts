import type { Readable } from 'node:stream'
import type { Output } from './terminal/output.js'
import type { StatusLine } from './terminal/status-line.js'

/** What a command may touch of the process. */
export interface Io {
  readonly stdin: Readable
  readonly stdout: Output
  /** For what is not the result. */
  readonly stderr: Output
  /** What is going on, for whoever waits at a terminal. */
  readonly status: StatusLine
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
   * @returns the exit status of the process
   * @throws {UsageError} for arguments that it does not take
   */
  run(argv: readonly string[], io: Io): Promise<number>
}
