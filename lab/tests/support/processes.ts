import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** Whether a process runs. One that has ended and was not collected yet does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  return process.platform !== 'linux' || isRunning(pid)
}

/** Waits until `condition` answers something truthy, and answers that. */
export async function until<T>(
  what: string,
  condition: () => T,
  timeoutMs = 240_000,
): Promise<NonNullable<T>> {
  const end = Date.now() + timeoutMs
  for (;;) {
    const answer = condition()
    if (answer) return answer
    if (Date.now() > end) throw new Error(`it was not so in ${timeoutMs} ms: ${what}`)
    await sleep(10)
  }
}

/** By the state in proc(5). */
function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}
