import { inspect } from 'node:util'
import { KestError } from '@kest/core'
import { UsageError } from './arguments/usage-error.js'
import { EXIT } from './exit-code.js'
import { InputError } from './files/input-error.js'
import { run } from './run.js'
import { wantsColors } from './terminal/colors.js'
import { visible } from './terminal/escape.js'
import { Output } from './terminal/output.js'
import { StatusLine } from './terminal/status-line.js'

const stdout = new Output(process.stdout, { colors: wantsColors(process.stdout.isTTY, process.env) })
const status = new StatusLine(process.stderr.isTTY ? (text) => process.stderr.write(text) : null)
const stderr = new Output(process.stderr, { colors: wantsColors(process.stderr.isTTY, process.env) })

// Until it is known that everything holds, the answer is not yes.
process.exitCode = EXIT.unusable
void main()

async function main(): Promise<void> {
  let code: number = EXIT.unusable
  try {
    code = await run(process.argv.slice(2), { stdin: process.stdin, stdout, stderr, status })
  } catch (error) {
    if (error instanceof UsageError)
      await complain(error.message, `See kest ${error.command === null ? '' : `${error.command} `}--help.`)
    else if (error instanceof InputError || error instanceof KestError || isOfSystem(error))
      await complain(error.message)
    else await complain('this is a mistake in kest itself', ...inspect(error).split('\n'))
  }
  if (stdout.failure !== null) {
    await complain(`standard output: ${stdout.failure.message}`)
    code = EXIT.unusable
  }
  process.exitCode = code
}

/** A disk that is full, a process that may open no more files: nobody's mistake here. */
function isOfSystem(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && 'syscall' in error
}

/** Line ends within a line are somebody else's, of a file's name say, and end none. */
async function complain(...lines: readonly string[]): Promise<void> {
  status.clear()
  await stderr.write(`${stderr.colors.red('kest:')} ${lines.map(visible).join('\n')}\n`)
}
