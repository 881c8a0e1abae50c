import { hash, KeyObject, X509Certificate } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { queryObjects } from 'node:v8'
import { createKest, KestError, verifyPassport } from '@kest/core'
import { MockPolicyEngine, RecordingLogger } from '@kest/core/testing'
import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  createDevAuthority,
  type DevAuthority,
  type DevAuthorityOptions,
} from '../src/dev-authority/index.js'
import type { KeyType } from '../src/dev-authority/keys.js'
import { createX509KeySource, SPIREProvider, X509Source } from '../src/index.js'
import { createBackoff } from '../src/workload-api/backoff.js'
import { until } from './support/material.js'
import { heldBytes } from './support/memory.js'

const logger = new RecordingLogger()
const backoff = () => createBackoff({ stepMs: 20, maxMs: 100 })
const cleanUp: (() => void | Promise<void>)[] = []

afterEach(async () => {
  vi.unstubAllEnvs()
  for (const clean of cleanUp.splice(0).reverse()) await clean()
})

async function start(options: Partial<DevAuthorityOptions> = {}): Promise<DevAuthority> {
  const authority = await createDevAuthority({
    trustDomain: 'example.org',
    workloads: { hop1: {}, hop2: {} },
    logger,
    ...options,
  })
  cleanUp.push(() => authority.close())
  return authority
}

async function provide(authority: DevAuthority, clock?: { now(): number }): Promise<SPIREProvider> {
  const address = authority.sockets['hop1'] as string
  const provider = await SPIREProvider.connect({
    address,
    backoff,
    logger,
    ...(clock === undefined ? {} : { clock }),
  })
  cleanUp.push(() => provider.close())
  return provider
}

function kestOf(identity: SPIREProvider): ReturnType<typeof createKest> {
  return createKest({ identity, engine: new MockPolicyEngine(), logger })
}

const REQUESTS = 10_000
/** While these are made, of which every fourth is one of the authority: counted in requests, so as many on any machine. */
const ROTATIONS = 20
/** Bytes for each request, which has an entry of 2 KB. V8 and the caches of chains come to some 20, or 110 when starved. */
const MAX_HELD = 500

const OPERATION = { operation: 'orders.read', policy: 'orders/read', origin: 'system' } as const

function refusalOf(run: () => unknown): { readonly code: string; readonly cause: unknown } {
  try {
    run()
  } catch (error) {
    if (error instanceof KestError)
      return { code: error.code, cause: (error.cause as { code?: string } | undefined)?.code }
    throw error
  }
  throw new Error('it was not refused')
}

describe('SPIREProvider', () => {
  it.each<[KeyType, string]>([
    ['ec-p256', 'ES256'],
    ['ec-p384', 'ES384'],
    ['rsa-2048', 'PS256'],
  ])(
    'K-ALG K-X5C signs with a key of %s as %s, and names its certificates without the root',
    async (keyType, alg) => {
      const authority = await start({ keyType, intermediates: 1 })
      const provider = await provide(authority)
      const { header, workloadId, local } = provider.current()
      expect([header.alg, workloadId, local, provider.getWorkloadId()]).toEqual([
        alg,
        'spiffe://example.org/hop1',
        true,
        'spiffe://example.org/hop1',
      ])
      const chain = (header.x5c ?? []).map((text) => new X509Certificate(Buffer.from(text, 'base64')))
      expect(chain).toHaveLength(2)
      expect(chain.some((certificate) => certificate.subject === certificate.issuer)).toBe(false)

      const { passport } = await kestOf(provider).begin(OPERATION)
      const verified = await verifyPassport(passport, {
        trust: createX509KeySource({ 'example.org': authority.bundle() }),
      })
      expect(verified.entries.map(({ principal }) => principal)).toEqual(['spiffe://example.org/hop1'])
    },
  )

  it('K-SIGNER keeps one signer until the SVID changes', async () => {
    const authority = await start()
    const provider = await provide(authority)
    const signer = provider.current()
    expect(provider.current()).toBe(signer)
    const foreign = await start({ trustDomain: 'other.org', workloads: {} })
    authority.federateWith(foreign)
    await until(() => provider.source.getX509Bundle('other.org') !== undefined)
    expect(provider.current()).toBe(signer)
    await authority.rotateSvid('hop1')
    await until(() => provider.current() !== signer)
    expect(provider.current().header.x5c).not.toEqual(signer.header.x5c)
  })

  it('K-SIGNER signs nothing when the SVID has expired', async () => {
    let shift = 0
    const provider = await provide(await start(), { now: () => Date.now() + shift })
    shift = 3_602_000
    expect(refusalOf(() => provider.current())).toEqual({
      code: 'ERR_KEST_IDENTITY',
      cause: 'ERR_SPIFFE_EXPIRED',
    })
    await expect(kestOf(provider).begin(OPERATION)).rejects.toMatchObject({ code: 'ERR_KEST_IDENTITY' })
  })

  it('K-SIGNER signs nothing when the identity was withdrawn', async () => {
    const authority = await start()
    const provider = await provide(authority)
    const kest = kestOf(provider)
    authority.withdraw('hop1')
    await until(() => provider.source.status().error !== null)
    expect(refusalOf(() => provider.current())).toEqual({
      code: 'ERR_KEST_IDENTITY',
      cause: 'ERR_SPIFFE_DENIED',
    })
    await expect(kest.begin(OPERATION)).rejects.toMatchObject({ code: 'ERR_KEST_IDENTITY' })
  })

  it('says which option is wrong, and what is in the way', async () => {
    vi.stubEnv('SPIFFE_ENDPOINT_SOCKET', undefined)
    await expect(SPIREProvider.connect()).rejects.toMatchObject({
      code: 'ERR_KEST_CONFIG',
      cause: { code: 'ERR_SPIFFE_ADDRESS' },
    })
    const connecting = SPIREProvider.connect({
      address: 'unix:///nowhere.sock',
      backoff,
      logger,
      connectTimeoutMs: 100,
    })
    await expect(connecting).rejects.toMatchObject({
      code: 'ERR_KEST_IDENTITY',
      cause: { code: 'ERR_SPIFFE_TIMEOUT' },
    })
  })

  it('finds the Workload API by SPIFFE_ENDPOINT_SOCKET', async () => {
    vi.stubEnv('SPIFFE_ENDPOINT_SOCKET', (await start()).sockets['hop2'])
    const provider = await SPIREProvider.connect({ logger })
    cleanUp.push(() => provider.close())
    expect(provider.getWorkloadId()).toBe('spiffe://example.org/hop2')
  })

  it('closes the source that it made, and leaves the one that it was given', async () => {
    const authority = await start()
    const provider = await provide(authority)
    provider.close()
    provider.close()
    expect(refusalOf(() => provider.current())).toEqual({
      code: 'ERR_KEST_IDENTITY',
      cause: 'ERR_SPIFFE_CLOSED',
    })
    const source = await X509Source.connect({ address: authority.sockets['hop1'] as string, logger })
    cleanUp.push(() => source.close())
    SPIREProvider.of(source).close()
    expect(source.current().id.path).toBe('/hop1')
  })

  it('signs and is verified 10,000 times while SVID and authority rotate, without one failure, and holds on to none of it', {
    timeout: 900_000,
  }, async () => {
    const authority = await start()
    const provider = await provide(authority)
    const verifier = await X509Source.connect({
      address: authority.sockets['hop2'] as string,
      backoff,
      logger,
    })
    cleanUp.push(() => verifier.close())
    // Not the mock engine: that one remembers what it was asked.
    const kest = createKest({ identity: provider, engine: { evaluate: () => true }, logger })
    const operation = kest.operation(OPERATION)
    const trust = createX509KeySource(verifier)
    const signers = new Set<string>()

    let requests = 0
    const request = async () => {
      requests++
      const { passport, entry } = await kest.begin(operation)
      await verifyPassport(passport, { trust })
      signers.add(hash('sha256', entry.jws.slice(0, entry.jws.indexOf('.'))))
      // Requests come by way of the event loop, and so does a rotation.
      await setImmediate()
    }
    /** Resolves when requests are signed with another SVID, and what the one before signed is verified. */
    const rotate = async (by: () => Promise<void>) => {
      const before = provider.current()
      await by()
      await until(() => provider.current() !== before)
      const last = requests
      await until(() => requests > last + 1)
    }
    let rotations = 0
    const rotateNext = async () => {
      if (++rotations % 4 !== 0) return await rotate(() => authority.rotateSvid())
      await rotate(() => authority.rotateAuthority({ settleMs: 500 }))
      authority.retireAuthorities()
    }
    /** Requests come in all the while. */
    const rotateTo = async (last: number) => {
      while (rotations < last) {
        let rotating = true
        const rotation = rotateNext().finally(() => {
          rotating = false
        })
        const requesting = async () => {
          for (const first = requests; rotating || requests - first < REQUESTS / ROTATIONS; ) await request()
        }
        await Promise.all([rotation, requesting()])
      }
    }

    await rotateTo(ROTATIONS / 5)
    // By now all caches have what they will have.
    const [heldEarly, requestsEarly] = [heldBytes(), requests]
    await rotateTo(ROTATIONS)
    expect(requests).toBeGreaterThanOrEqual(REQUESTS)
    expect(signers.size).toBe(1 + ROTATIONS)
    expect((heldBytes() - heldEarly) / (requests - requestsEarly)).toBeLessThan(MAX_HELD)
    // They are small where they can be measured.
    expect(queryObjects(X509Certificate, { format: 'count' })).toBeLessThan(REQUESTS / 10)
    expect(queryObjects(KeyObject, { format: 'count' })).toBeLessThan(REQUESTS / 10)
  })
})
