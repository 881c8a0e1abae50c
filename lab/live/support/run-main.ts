import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'
import { programFile } from '../../src/files.js'

/** What came of `npm run lab -- ARGS`. */
export interface Run {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunningLab {
  readonly pid: number
  readonly ended: Promise<Run>
  /** Standard output so far. */
  stdout(): string
}

export function runMain(args: readonly string[], env: NodeJS.ProcessEnv = process.env): RunningLab {
  const child = spawn(process.execPath, [programFile('main'), ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return {
    pid: child.pid ?? 0,
    stdout: () => stdout,
    ended: once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr })),
  }
}
