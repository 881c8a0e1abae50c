import { Readable, Writable } from 'node:stream'
import type { Command } from '../../src/command.js'
import { Output } from '../../src/terminal/output.js'
import { StatusLine } from '../../src/terminal/status-line.js'
import type { Run } from './kest.js'

/** Runs a command within this process, where its environment can be another. Standard input is empty unless it is given. */
export async function runWithin(
  command: Command,
  args: readonly string[],
  stdin: Readable = Readable.from([]),
): Promise<Run> {
  return startWithin(command, args, stdin).ended
}

/** The same, and what it has written so far. */
export function startWithin(
  command: Command,
  args: readonly string[],
  stdin: Readable = Readable.from([]),
): { readonly written: Pick<Run, 'stdout' | 'stderr'>; readonly ended: Promise<Run> } {
  const written = { stdout: '', stderr: '' }
  const into = (name: 'stdout' | 'stderr') =>
    new Output(
      new Writable({
        write(chunk, _, done) {
          written[name] += chunk
          done()
        },
      }),
      { colors: false },
    )
  const io = { stdin, stdout: into('stdout'), stderr: into('stderr'), status: new StatusLine(null) }
  return { written, ended: command.run(args, io).then((code) => ({ code, ...written })) }
}
