import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

/** Those that a test has started, for it to end whatever became of them. */
export const runs = new Set<ChildProcess>()

export interface Run {
  readonly pid: number
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>
}

/** Starts the demonstration as `npm start -- ARGS` does: `args` should name a folder of the test's own. */
export function runMain(args: readonly string[], settings: NodeJS.ProcessEnv = {}): Run {
  const { SPIFFE_ENDPOINT_SOCKET: _, ...environment } = process.env
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...environment, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  runs.add(child)
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return {
    pid: child.pid!,
    ended: once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr })),
  }
}
