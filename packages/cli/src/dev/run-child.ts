import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { InputError } from '../files/input-error.js'

const SIGNALS = ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP'] as const
/** As shells have it: a command that was ended by a signal. */
const SIGNALLED = 128
/** How long what a command leaves behind may take to end: counted by looks, so that time in which this process does not run is none. */
const LATE_MS = 5_000
const LOOK_MS = 20

/**
 * Runs a command with the standard streams of this process until it ends, and all that it started with it: what is left then is
 * told to end, and killed when it has not five seconds later. After a signal it has five seconds more to end by that.
 *
 * It is a process group of its own. A signal that would end this process goes to each member, once: shells between, as npm has
 * them, hand none on, and those of a terminal's keys would come twice otherwise.
 *
 * @returns its exit status; of one that was ended by a signal, 128 and the number of that
 * @throws {InputError} when it cannot be started
 */
export async function runChild(
  [program, ...args]: readonly [string, ...string[]],
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const child = spawn(program, args, { stdio: 'inherit', env, detached: true })
  const { pid } = child
  let signalled = false
  const forward = (signal: NodeJS.Signals): void => {
    signalled = true
    if (pid !== undefined) send(pid, signal)
  }
  for (const signal of SIGNALS) process.on(signal, forward)
  try {
    const status = await new Promise<number>((resolve, reject) => {
      child.on('error', (cause: NodeJS.ErrnoException) =>
        reject(new InputError(`${program}: it cannot be started: ${cause.code ?? cause.message}`, { cause })),
      )
      child.on('exit', (code, signal) => {
        resolve(code ?? SIGNALLED + constants.signals[signal as NodeJS.Signals])
      })
    })
    if (pid !== undefined) await end(pid, signalled)
    return status
  } finally {
    for (const signal of SIGNALS) process.off(signal, forward)
  }
}

/** Whoever was signalled is on its way, or took it for something else. */
async function end(group: number, signalled: boolean): Promise<void> {
  if (signalled && (await gone(group))) return
  if (!send(group, 'SIGTERM') || (await gone(group))) return
  // Nobody can refuse it, but it takes a moment.
  if (send(group, 'SIGKILL')) await gone(group)
}

/** Whether a group has no member any more, or soon has none. */
async function gone(group: number): Promise<boolean> {
  for (let looks = LATE_MS / LOOK_MS; looks > 0; looks--) {
    if (!send(group, 0)) return true
    await sleep(LOOK_MS)
  }
  return false
}

/** Whether the group has a member; 0 is no signal, and asks. */
function send(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, signal)
  } catch (error) {
    // Those that this user may not signal are there.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
