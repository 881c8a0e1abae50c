import { createHash } from 'node:crypto'
import { createKest, type PolicyEngine } from '@kest/core'
import { createX509KeySource, SPIREProvider } from '@kest/spiffe'
import { createDevAuthority } from '@kest/spiffe/dev'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { configurationFile } from '../../files.js'
import { createLineage, writeBaggage } from './lineage.js'

const NAMES = ['hop1', 'hop2', 'hop3']
const logger = { debug() {}, info() {}, warn() {}, error() {} }
const REVISION = `rego-wasm:sha256:${createHash('sha256').update('any').digest('hex')}`
const engine: PolicyEngine = { evaluate: () => true, revision: () => REVISION }
/** With three certificates and the digests of three texts, three entries are longer than most need to send. */
const propagation = { maxMemberLength: 8_192, maxHeaderLength: 16_384 }
let authority: Awaited<ReturnType<typeof createDevAuthority>>
let identities: SPIREProvider[]

beforeAll(async () => {
  vi.stubEnv('KEST_CONFIG', configurationFile('kest/deployment.yaml'))
  authority = await createDevAuthority({
    trustDomain: 'example.org',
    workloads: Object.fromEntries(NAMES.map((name) => [name, {}])),
    logger,
  })
  identities = await Promise.all(
    NAMES.map((name) => SPIREProvider.connect({ address: String(authority.sockets[name]) })),
  )
})
afterAll(async () => {
  vi.unstubAllEnvs()
  for (const identity of identities) identity.close()
  await authority.close()
})

/** Each hop's `baggage`. */
function floorChain(): string[] {
  const headers: string[] = []
  for (const { source } of identities) {
    const lineage = createLineage(source.current(), 'any')
    const before = headers.at(-1)
    const links = before === undefined ? [] : lineage.read(before)
    headers.push(writeBaggage(lineage.sign(links, 'any')))
  }
  return headers
}

async function kestChain(): Promise<string[]> {
  const headers: string[] = []
  for (const identity of identities) {
    const kest = createKest({
      identity,
      engine,
      logger,
      trust: createX509KeySource(identity.source),
      propagation,
    })
    const baggage = headers.at(-1)
    const listener = kest.listener(baggage === undefined ? { origin: 'user_input' } : {})
    const state = await listener.receive({ headers: baggage === undefined ? {} : { baggage } })
    const about = { resource: { id: 'any' }, labels: { item: 'any' } }
    const operation = await kest.begin({ operation: 'GET /', policy: 'any', ...about }, { state })
    const sent = await operation.run(() => kest.inject({}, 'http://next'))
    headers.push(String((sent as Record<string, unknown>)['baggage']))
  }
  return headers
}

describe('the floor', () => {
  it('writes lineage that Kest verifies, as it writes its own', async () => {
    for (const baggage of floorChain()) {
      const identity = identities[2] as SPIREProvider
      const kest = createKest({ identity, engine, logger, trust: createX509KeySource(identity.source) })
      const state = await kest.listener().receive({ headers: { baggage } })
      await expect(kest.begin({ operation: 'GET /', policy: 'any' }, { state })).resolves.toBeDefined()
    }
  })

  it('reads what Kest writes, and as much of it as its own', async () => {
    const [own, kests] = [floorChain(), await kestChain()]
    const lineage = createLineage((identities[2] as SPIREProvider).source.current(), 'any')
    for (const [i, baggage] of kests.entries()) {
      expect(lineage.read(baggage).map(({ payload }) => payload.labels.principal)).toEqual(
        NAMES.slice(0, i + 1).map((name) => `spiffe://example.org/${name}`),
      )
      const lengths = [own[i] ?? '', baggage].map((each) => lineage.read(each).map(({ jws }) => jws.length))
      expect(lengths[0]).toEqual(lengths[1])
    }
  })

  it('refuses an entry that is not signed, not linked, or was cut off', () => {
    const [, , baggage = ''] = floorChain()
    const lineage = createLineage((identities[2] as SPIREProvider).source.current(), 'any')
    const entries = lineage.read(baggage).map(({ jws }) => jws)
    const changed = entries.map((jws, i) => (i === 1 ? jws.replace(/\.[^.]+$/, `.${'A'.repeat(86)}`) : jws))
    expect(() => lineage.read(writeBaggage(changed))).toThrow('not signed by it')
    expect(() => lineage.read(writeBaggage(entries.slice(1)))).toThrow('not linked')
    expect(() => lineage.read(baggage.replace(/[^=]+$/, 'f'.repeat(64)))).toThrow('its end was cut off')
  })
})
