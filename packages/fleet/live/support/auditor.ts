import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const KEST = fileURLToPath(new URL('../../../cli/bin/kest.js', import.meta.url))

/** A process of `kest audit --kafka`. */
export interface Auditor {
  readonly pid: number
  /** Lines of its standard output. */
  readonly lines: string[]
  readonly said: () => string
  /** Without a last word. */
  kill(): Promise<void>
  /** As an operator does; resolves with its exit status. */
  stop(): Promise<number | null>
  /** Its exit status, when it ends by itself. */
  readonly ended: Promise<number | null>
}

export function startAuditor(args: readonly string[]): Auditor {
  const child = spawn(process.execPath, [KEST, 'audit', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const lines: string[] = []
  let rest = ''
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n')
    rest = parts.pop() as string
    lines.push(...parts)
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-10_000)
  })
  const ended = endOf(child)
  return {
    pid: child.pid as number,
    lines,
    said: () => said,
    ended,
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
    async stop() {
      child.kill('SIGTERM')
      return await ended
    },
  }
}

async function endOf(child: ChildProcess): Promise<number | null> {
  await once(child, 'close')
  return child.exitCode
}
