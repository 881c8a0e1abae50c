import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const KEST = fileURLToPath(new URL('../../../packages/cli/bin/kest.js', import.meta.url))
const TELL_CPU = new URL('tell-cpu.js', import.meta.url).href

/** What `kest` used of processors. */
export interface Measured {
  /** Of all threads. */
  readonly cpuMs: number
}

/**
 * Runs `kest audit` to its end.
 * @param during told of it when it says that it judges what comes; when this resolves, it is asked to stop
 */
export async function measureAudit(args: readonly string[], during?: () => Promise<void>): Promise<Measured> {
  const child = spawn(process.execPath, ['--import', TELL_CPU, KEST, 'audit', ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  const judging = new Promise<void>((resolve) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-10_000)
      if (said.includes('judging')) resolve()
    })
  })
  const closed = once(child, 'close')
  if (during !== undefined) {
    await Promise.race([judging, closed])
    await during()
    child.kill('SIGTERM')
  }
  await closed
  const cpuMs = Number(/^cpu (\d.*)$/m.exec(said)?.[1])
  if (Number.isNaN(cpuMs) || (child.exitCode ?? 2) > 1) throw new Error(`kest audit: ${said}`)
  return { cpuMs }
}
