import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'

export interface Process {
  readonly pid: number
  /** Its command line. */
  readonly command: string
}

/** The processes that `pid` has started and that are still there. */
export function childrenOf(pid: number): Process[] {
  return processes().filter(({ parent }) => parent === pid)
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !isZombie(pid)
  } catch {
    return false
  }
}

/** Waits until `condition` answers something truthy, and answers that. */
export async function until<T>(
  what: string,
  condition: () => T,
  timeoutMs = 120_000,
): Promise<NonNullable<T>> {
  const end = Date.now() + timeoutMs
  for (;;) {
    const answer = condition()
    if (answer) return answer
    if (Date.now() > end) throw new Error(`it was not so in ${timeoutMs} ms: ${what}`)
    await setTimeout(10)
  }
}

function processes(): (Process & { readonly parent: number })[] {
  if (process.platform !== 'linux') {
    const listing = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,command='], { encoding: 'utf8' })
    return [...listing.matchAll(/^\s*(\d+)\s+(\d+)\s+(.*)$/gm)].map(([, pid, parent, command = '']) => ({
      pid: Number(pid),
      parent: Number(parent),
      command,
    }))
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const pid = Number(name)
      const stat = statOf(pid)
      return stat === null ? [] : [{ pid, parent: Number(stat[1]), command: commandOf(pid) }]
    })
}

/** Ended, and not yet collected by whoever inherited it. */
function isZombie(pid: number): boolean {
  return process.platform === 'linux' && ['Z', 'X', undefined].includes(statOf(pid)?.[0])
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

/** State, parent, … of a process (proc(5)); `null` when it is gone. */
function statOf(pid: number): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return null
  }
}
