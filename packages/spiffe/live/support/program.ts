import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

const DEADLINE_MS = 60_000

/** Runs a program to its end. @returns what it printed, of JSON; when it fails, an error with what it said */
export async function run<T>(command: string, args: readonly string[], input: unknown = null): Promise<T> {
  await using program = start(command, args)
  program.write(JSON.stringify(input))
  const result = await program.next<T>()
  await program.end()
  return result
}

/** A program that prints lines of JSON, and reads lines. */
export interface Program extends AsyncDisposable {
  readonly pid: number
  /** The next line. Rejects when there is none within a minute, or when the program has ended, with what it said. */
  next<T>(): Promise<T>
  write(line: string): void
  /** Closes its input, and waits until it has ended well. */
  end(): Promise<void>
  /** Ends it. Idempotent. */
  stop(): Promise<void>
}

export function start(command: string, args: readonly string[]): Program {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  const said: string[] = []
  child.stderr.setEncoding('utf8').on('data', (text: string) => said.push(text))
  // Writing to one that has ended fails; that it has ended is what counts, and that is noticed.
  child.stdin.on('error', () => undefined)
  const closed = once(child, 'close')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const failure = (what: string): Error =>
    new Error(`${command} ${args.join(' ')}: ${what}\n${said.join('')}`)
  const stop = async (): Promise<void> => {
    if (!hasEnded(child)) child.kill('SIGKILL')
    await closed
  }
  return {
    pid: child.pid ?? 0,
    async next<T>(): Promise<T> {
      const { done, value } = await before(lines.next(), () => failure('no line came'))
      if (done !== true) return JSON.parse(value) as T
      await closed
      throw failure(`ended with ${child.exitCode ?? child.signalCode}`)
    },
    write: (line) => void child.stdin.write(`${line}\n`),
    async end(): Promise<void> {
      child.stdin.end()
      await before(closed, () => failure('did not end'))
      if (child.exitCode !== 0) throw failure(`ended with ${child.exitCode ?? child.signalCode}`)
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** @throws what `failure` makes, when it is not there in time */
export async function before<T>(
  promise: Promise<T>,
  failure: () => Error,
  milliseconds: number = DEADLINE_MS,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(failure()), milliseconds)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}
