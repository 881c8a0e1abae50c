import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { configure, createFunctionEngine, type Kest, type Logger } from '@kest/core'
import { createX509KeySource, SPIREProvider } from '@kest/spiffe'
import { setupTelemetry } from '@kest/telemetry'
import type { Workload } from './names.js'
import { POLICIES } from './policies.js'

/** Where its Workload API is, and where its audit spans go. */
export interface Place {
  readonly socket: string
  readonly out: string
}

/** Who it is, whom it trusts, what decides, and where its record goes: nothing runs before that is written. */
export async function startWorkload(
  name: Workload,
  { socket, out }: Place,
): Promise<{ readonly kest: Kest; stop(): Promise<void> }> {
  const identity = await SPIREProvider.connect({ address: socket })
  const endpoint = join(out, 'spans', `${name}.jsonl`)
  const telemetry = setupTelemetry({ serviceName: name, exporter: 'file', endpoint, confirm: true })
  const kest = configure({
    identity,
    engine: createFunctionEngine(POLICIES),
    trust: createX509KeySource(identity.source),
    telemetry,
    logger: logInto(join(out, `${name}.log`)),
    // Entries that carry certificates fill a header soon: nothing between these has a bound of its own.
    propagation: { encoding: 'compressed', maxMemberLength: 8_000 },
  })
  return {
    kest,
    async stop() {
      await telemetry.shutdown()
      await kest.close()
    },
  }
}

function logInto(file: string): Logger {
  const write = (details: object, message: string) =>
    appendFileSync(file, `${JSON.stringify({ ...details, message })}\n`)
  return { debug() {}, info: write, warn: write, error: write }
}

/** Of a process that was told by its arguments. */
export function placeOf(argv: readonly string[]): Place {
  const [socket, out] = argv
  if (socket === undefined || out === undefined) throw new Error('usage: node <program>.js SOCKET FOLDER')
  return { socket, out }
}
