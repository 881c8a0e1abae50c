import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const UP_MS = 240_000
const PAUSE_MS = 50
/** Of what it printed, for whoever wants to know why it is not up. */
const KEPT_CHARACTERS = 8_000

/** A real server, on 127.0.0.1, with a folder of its own. Whoever starts it stops it. */
export interface Broker extends AsyncDisposable {
  readonly port: number
  /** As its clients take it. */
  readonly url: string
  /** As a crash would. What it keeps on disk stays. */
  kill(): Promise<void>
  /** Again after a {@link kill}, at the same place. */
  start(): Promise<void>
  /** Neither answers nor refuses from then on. */
  pause(): void
  resume(): void
  /** For good: its folder goes. Idempotent. */
  stop(): Promise<void>
}

export interface BrokerProgram {
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export interface BrokerOptions {
  readonly port: number
  readonly url: string
  readonly folder: string
  /** What it consists of, in the order in which it is started. */
  readonly programs: readonly BrokerProgram[]
  /** Resolves or rejects; it is asked until it resolves. */
  readonly ready: () => Promise<unknown>
}

export function temporaryFolder(name: string): Promise<string> {
  return mkdtemp(join(tmpdir(), `kest-${name}-`))
}

/** Starts it. It is ready when this resolves. */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const { port, url, folder, programs, ready } = options
  let running: Running[] = []
  const kill = async (): Promise<void> => {
    const ending = running
    running = []
    await Promise.all(ending.map((program) => program.end()))
  }
  const stop = async (): Promise<void> => {
    await kill()
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
  const signal = (name: NodeJS.Signals): void => {
    for (const { child } of running) child.kill(name)
  }
  const start = async (): Promise<void> => {
    for (const program of programs) running.push(await run(program, folder))
    await untilReady(running, ready)
  }
  try {
    await start()
  } catch (error) {
    await stop()
    throw error
  }
  return {
    port,
    url,
    kill,
    start,
    stop,
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    [Symbol.asyncDispose]: stop,
  }
}

interface Running {
  readonly child: ChildProcess
  readonly command: string
  readonly said: () => string
  end(): Promise<void>
}

/** @throws where it is not on PATH: absent is a failure, and no test is skipped for it */
async function run({ command, args, env }: BrokerProgram, cwd: string): Promise<Running> {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-KEPT_CHARACTERS)
    })
  try {
    await once(child, 'spawn')
  } catch (cause) {
    throw new Error(`${command} is not on PATH: scripts/live-tools.sh FOLDER --all installs it`, { cause })
  }
  return {
    child,
    command,
    said: () => said,
    end: async () => {
      child.kill('SIGKILL')
      await exited
    },
  }
}

/** Runs a program to its end. @throws where it fails, with what it printed */
export async function runToEnd(program: BrokerProgram, folder: string): Promise<void> {
  const { child, command, said } = await run(program, folder)
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  if (child.exitCode !== 0) throw new Error(`${command} ended with ${child.exitCode}:\n${said()}`)
}

async function untilReady(running: readonly Running[], ready: () => Promise<unknown>): Promise<void> {
  const late = Date.now() + UP_MS
  for (;;) {
    const cause: unknown = await ready().then(
      () => null,
      (error: unknown) => error ?? new Error('not ready'),
    )
    if (cause === null) return
    const ended = running.find(({ child }) => child.exitCode !== null || child.signalCode !== null)
    const [last] = running.slice(-1)
    if (ended !== undefined) throw new Error(`${ended.command} has ended:\n${ended.said()}`, { cause })
    if (Date.now() > late)
      throw new Error(`${last?.command} is not ready after ${UP_MS} ms:\n${last?.said()}`, { cause })
    await sleep(PAUSE_MS)
  }
}
