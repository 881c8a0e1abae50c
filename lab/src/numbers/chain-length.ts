import { createFunctionEngine, createKest } from '@kest/core'
import { createX509KeySource, SPIREProvider } from '@kest/spiffe'
import { createDevAuthority } from '@kest/spiffe/dev'
import { createLineage, writeBaggage } from './floor/lineage.js'
import { median } from './statistics.js'

/** What one more hop costs, at one place of a chain. */
export interface LengthFigure {
  /** Which hop it is, from 1 on: so many entries there are when it is done. */
  readonly hops: number
  /** Characters of the `baggage` header that it sends. */
  readonly header: number
  /** Microseconds that this hop takes: verifying what came, deciding, signing, writing the header. */
  readonly full: number
  readonly tip: number
  /** The same by plain APIs of Node, without deciding; every entry verified, as in `full`. */
  readonly floor: number
}

/** One request at one hop. @returns the `baggage` that goes to the next one */
type Hop = (baggage: string | undefined) => string | Promise<string>

const MODES = ['full', 'tip'] as const
/** Beside those. */
const AT_FLOOR = MODES.length
const WARM_UP = 20
/** One process is all of its services: there is no list of who may begin lineage. */
const logger = { debug() {}, info() {}, warn() {}, error() {} }
const ITEM = 'any'
/** What the lab says of a request. */
const ABOUT = { resource: { id: ITEM }, labels: { item: ITEM } }

/**
 * A chain in one process, without HTTP: each hop has an SVID of its own and sees what it would see of a real one. Limits
 * of the header are lifted, so that every length travels in it.
 */
export async function measureLengths(longest: number, repetitions: number): Promise<LengthFigure[]> {
  const names = Array.from({ length: longest }, (_, i) => `hop${i + 1}`)
  await using authority = await createDevAuthority({
    trustDomain: 'example.org',
    workloads: Object.fromEntries(names.map((name) => [name, {}])),
    logger,
  })
  const identities = await Promise.all(
    names.map((name) => SPIREProvider.connect({ address: authority.sockets[name] as string })),
  )
  const chains = [
    ...MODES.map((mode) => identities.map((identity, i) => createHop(identity, i === 0, mode))),
    identities.map(createFloorHop),
  ]
  const times = chains.map(() => names.map((): number[] => []))
  const headers: number[] = []
  for (let round = -WARM_UP; round < repetitions; round++) {
    for (const [kind, chain] of chains.entries()) {
      let baggage: string | undefined
      for (const [i, hop] of chain.entries()) {
        const start = performance.now()
        baggage = await hop(baggage)
        if (round < 0) continue
        times[kind]?.[i]?.push((performance.now() - start) * 1000)
        if (kind !== AT_FLOOR) headers[i] = baggage.length
      }
    }
  }
  for (const identity of identities) identity.close()
  const at = (kind: number, i: number): number => median(times[kind]?.[i] ?? [])
  return names.map((_, i) => ({
    hops: i + 1,
    header: headers[i] ?? 0,
    ...{ full: at(0, i), tip: at(1, i), floor: at(AT_FLOOR, i) },
  }))
}

function createHop(identity: SPIREProvider, edge: boolean, mode: (typeof MODES)[number]): Hop {
  const kest = createKest({
    identity,
    logger,
    engine: createFunctionEngine({ any: () => true }),
    trust: createX509KeySource(identity.source),
    propagation: { encoding: 'compressed', maxMemberLength: 1_000_000, maxHeaderLength: 1_000_000 },
  })
  const listener = kest.listener(edge ? { origin: 'user_input' } : { mode })
  return async (baggage) => {
    const state = await listener.receive({ headers: baggage === undefined ? {} : { baggage } })
    return await kest.run(state, async () => {
      const operation = await kest.begin({ operation: 'GET /', policy: 'any', ...ABOUT })
      const headers = await operation.run(() => kest.inject({}, 'http://next'))
      return String((headers as Record<string, unknown>)['baggage'])
    })
  }
}

function createFloorHop({ source }: SPIREProvider): Hop {
  const lineage = createLineage(source.current(), 'any')
  return (baggage) => {
    const links = baggage === undefined ? [] : lineage.read(baggage)
    return writeBaggage(lineage.sign(links, ITEM), 0)
  }
}
