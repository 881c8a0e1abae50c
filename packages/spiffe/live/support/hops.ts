import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { before, hasEnded } from './program.js'

const HOP = fileURLToPath(new URL('./hop.mjs', import.meta.url))

/** A process that continues passports, see `hop.mjs`. */
export interface Hop {
  readonly id: string
  /** The SPIFFE IDs that the Workload API gave it. */
  readonly identities: readonly string[]
  /** SHA-256 of the certificates that it had after a call. */
  readonly certificates: ReadonlySet<string>
  /** Continues a passport, `null` to begin one. Rejects with what the hop says. */
  call(passport: readonly string[] | null): Promise<readonly string[]>
}

export interface HopOptions {
  readonly address: string
  readonly id: string
  /** Root only. */
  readonly uid?: number
}

/** Starts a hop; it ends with the test. */
export async function startHop({ address, id, uid }: HopOptions): Promise<Hop> {
  const child = fork(HOP, [address, id, uid === undefined ? '' : String(uid)], { execArgv: [] })
  const exited = once(child, 'exit')
  onTestFinished(async () => {
    if (!hasEnded(child)) child.kill('SIGKILL')
    await exited
  })
  const certificates = new Set<string>()
  const { ready } = await answer<{ ready: string[] }>(child, id)
  return {
    id,
    identities: ready,
    certificates,
    async call(passport) {
      child.send(passport as string[])
      const reply = await answer<{ passport: string[]; certificate: string }>(child, id)
      certificates.add(reply.certificate)
      return reply.passport
    },
  }
}

/** Runs a request through all hops. @returns the last one's passport */
export async function runChain(hops: readonly Hop[]): Promise<readonly string[]> {
  let passport: readonly string[] | null = null
  for (const hop of hops) passport = await hop.call(passport)
  return passport ?? []
}

/** The next message of a hop. Rejects with the error in it, and when the hop ends or is silent. */
async function answer<T>(child: ChildProcess, id: string): Promise<T> {
  const controller = new AbortController()
  const { signal } = controller
  const ended = once(child, 'exit', { signal }).then(() => {
    throw new Error(`${id} ended with ${child.exitCode ?? child.signalCode}`)
  })
  const message = once(child, 'message', { signal }).then(([value]) => value as T & { error?: string })
  try {
    const value = await before(Promise.race([message, ended]), () => new Error(`${id} does not answer`))
    if (value.error !== undefined) throw new Error(`${id}: ${value.error}`)
    return value
  } finally {
    controller.abort()
    await Promise.allSettled([ended, message])
  }
}
