import { closeSync, openSync, writeSync } from 'node:fs'
import {
  createFunctionEngine,
  createKest,
  type IdentityProvider,
  type Kest,
  type KeySource,
  type Logger,
  type Operation,
} from '@kest/core'
import { createX509KeySource, SPIREProvider } from '@kest/spiffe'
import { createDevAuthority } from '@kest/spiffe/dev'
import { headerOf } from '../workload.js'

export const DOMAIN = 'example.org'
export const ORIGIN = 'http://orders.svc.local:8000'
const HOPS = ['hop1', 'hop2', 'hop3']
const QUIET: Logger = Object.freeze({ debug() {}, info() {}, warn() {}, error() {} })

/** A mesh of workloads with SVIDs, and a receiver that has seen their certificates and none of their entries. */
export interface World {
  readonly senders: readonly [Kest, Kest, Kest]
  readonly receiver: Kest
  /** What three hops made. */
  readonly operation: Operation
  /** Compact strings of its entries. */
  readonly passport: readonly string[]
  /** The header of an honest request. */
  readonly baggage: string
  /** The receiver has not seen an entry before. */
  forget(): void
}

let made: Promise<World> | undefined

/** One for all figures of a process: they leave nothing in it but what every request does. */
export function world(): Promise<World> {
  made ??= makeWorld()
  return made
}

async function makeWorld(): Promise<World> {
  const authority = await createDevAuthority({
    trustDomain: DOMAIN,
    workloads: Object.fromEntries(HOPS.map((hop) => [hop, {}])),
    logger: QUIET,
  })
  const connect = (hop: string) =>
    SPIREProvider.connect({ address: authority.sockets[hop] as string, logger: QUIET })
  const identities = await Promise.all(HOPS.map(async (hop) => fixed(await connect(hop))))
  const trust = new Forgetful(createX509KeySource({ [DOMAIN]: authority.bundle() }))
  const engine = createFunctionEngine({ allow: () => true, deny: () => false })
  const kests = identities.map((identity) => createKest({ identity, engine, trust, logger: toNowhere() }))
  await authority.close()

  let operation: Operation | undefined
  for (const kest of kests) {
    operation = await kest.begin(
      {
        operation: 'GET /orders/:id',
        policy: 'allow',
        ...(operation === undefined && { origin: 'user_input' }),
      },
      { state: operation?.state ?? null },
    )
  }
  if (operation === undefined) throw new Error('the benchmark has no passport')
  const baggage = await headerOf(operation.state)
  return {
    senders: kests as [Kest, Kest, Kest],
    receiver: kests[2] as Kest,
    operation,
    passport: operation.passport.toJSON(),
    baggage,
    forget: () => {
      trust.generation++
    },
  }
}

/** An identity as it is now: what follows the Workload API would go on in the middle of a measurement. */
async function fixed(identity: SPIREProvider): Promise<IdentityProvider> {
  const signer = identity.current()
  await identity.close()
  return { getWorkloadId: () => signer.workloadId, current: () => signer }
}

/** What was remembered under an earlier generation counts for nothing; chains of certificates are remembered below. */
class Forgetful implements KeySource {
  readonly name = 'forgetful'
  readonly kind = 'x509'
  generation = 0
  readonly #source: KeySource

  constructor(source: KeySource) {
    this.#source = source
  }

  knows(principal: string): boolean {
    return this.#source.knows?.(principal) ?? true
  }

  find(query: Parameters<KeySource['find']>[0]): ReturnType<KeySource['find']> {
    return this.#source.find(query)
  }
}

/** As the default logger writes, and nobody reads: a refusal is logged, and that is part of what it costs. */
function toNowhere(): Logger {
  const file = openSync('/dev/null', 'w')
  process.once('exit', () => closeSync(file))
  const write = (details: object, message: string): void => {
    writeSync(file, `${JSON.stringify({ name: 'kest', message, ...details })}\n`)
  }
  return { debug() {}, info() {}, warn: write, error: write }
}
