import { join } from 'node:path'
import { createKest, Passport, verifyPassport } from '@kest/core'
import { MockPolicyEngine, RecordingLogger } from '@kest/core/testing'
import {
  createBundleSet,
  createX509KeySource,
  JWTSource,
  parseSpiffeBundle,
  SPIREProvider,
  TrustDomain,
  verifyJwtSvid,
  verifyX509Chain,
  WorkloadApiClient,
  X509Source,
} from '@kest/spiffe'
import {
  createDevAuthority,
  type DevAuthority,
  type DevAuthorityOptions,
  type KeyType,
} from '@kest/spiffe/dev'
import { describe, expect, it } from 'vitest'
import { judgeChains } from './support/chains.js'
import { type Fetched, runGo, startGo } from './support/go.js'
import { runChain, startHop } from './support/hops.js'
import { before, type Program } from './support/program.js'
import { temporaryFolder, use } from './support/resources.js'

const GO_ALGORITHMS: Readonly<Record<KeyType, string>> = {
  'ec-p256': 'ECDSA',
  'ec-p384': 'ECDSA',
  'rsa-2048': 'RSA',
}
const KEY_TYPES = Object.keys(GO_ALGORITHMS) as KeyType[]

/** What is logged is not the matter here. */
const logger = new RecordingLogger()

describe('go-spiffe with the development authority', () => {
  it.each(
    KEY_TYPES.flatMap((keyType) => [0, 1, 3].map((intermediates) => [keyType, intermediates] as const)),
  )('fetches and verifies what it issues: %s, %d intermediates', async (keyType, intermediates) => {
    const authority = await devAuthority({
      keyType,
      intermediates,
      workloads: {
        a: { id: ['spiffe://example.org/a', 'spiffe://example.org/admin/a'], hints: ['', 'admin'] },
      },
    })

    const fetched = await runGo<Fetched>('fetch', { address: authority.sockets['a'], audience: 'reports' })

    expect(fetched.x509Svids).toMatchObject([
      { id: 'spiffe://example.org/a', hint: '', algorithm: GO_ALGORITHMS[keyType] },
      { id: 'spiffe://example.org/admin/a', hint: 'admin', algorithm: GO_ALGORITHMS[keyType] },
    ])
    expect(fetched.x509Svids[0]?.chain).toHaveLength(1 + intermediates)
    expect(fetched.x509Bundles).toEqual({ 'example.org': rootsOf(authority) })
    expect(fetched.jwtSvid).toMatchObject({ id: 'spiffe://example.org/a', audience: ['reports'] })
    expect(fetched.jwtBundles).toEqual({ 'example.org': jwtKeyIdsOf(authority) })
  })

  it('fetches the bundles of domains that it federates with', async () => {
    const authority = await devAuthority({ workloads: { a: {} } })
    const other = await devAuthority({ trustDomain: 'partner.test', workloads: { b: {} } })
    authority.federateWith(other)

    const fetched = await runGo<Fetched>('fetch', { address: authority.sockets['a'], audience: 'reports' })

    expect(fetched.x509Bundles).toEqual({ 'example.org': rootsOf(authority), 'partner.test': rootsOf(other) })
    expect(Object.keys(fetched.jwtBundles).sort()).toEqual(['example.org', 'partner.test'])
  })

  it('follows the rotation of SVIDs and authorities, and a withdrawal', async () => {
    const authority = await devAuthority({ workloads: { a: {} } })
    const watch = use(startGo('watch', { address: authority.sockets['a'] }))
    const first = await watch.next<Fetched>()
    expect(first.x509Bundles).toEqual({ 'example.org': rootsOf(authority) })

    await authority.rotateSvid('a')
    const second = await updateUntil(
      watch,
      ({ x509Svids }) => x509Svids[0]?.serial !== first.x509Svids[0]?.serial,
    )

    await authority.rotateAuthority()
    await updateUntil(
      watch,
      ({ x509Svids, x509Bundles }) =>
        x509Bundles['example.org']?.length === 2 && x509Svids[0]?.serial !== second.x509Svids[0]?.serial,
    )

    authority.retireAuthorities()
    const last = await updateUntil(watch, ({ x509Bundles }) => x509Bundles['example.org']?.length === 1)
    expect(last.x509Bundles).toEqual({ 'example.org': rootsOf(authority) })
    expect(last.x509Bundles).not.toEqual(first.x509Bundles)

    authority.withdraw('a')
    expect(await watch.next<{ error: string }>()).toEqual({
      error: expect.stringContaining('PermissionDenied'),
    })
    authority.restore('a')
    await updateUntil(watch, ({ x509Svids }) => x509Svids[0]?.id === 'spiffe://example.org/a')
  })
})

describe('go-spiffe with the passport of three hops', () => {
  it.each(KEY_TYPES.flatMap((keyType) => [0, 2].map((intermediates) => [keyType, intermediates] as const)))(
    'K-X5C verifies every chain: %s, %d intermediates',
    async (keyType, intermediates) => {
      const authority = await devAuthority({
        keyType,
        intermediates,
        workloads: { hop1: {}, hop2: {}, hop3: {} },
      })
      const bundles = { 'example.org': authority.bundle() }

      const passport = await passportOf(authority)
      const verdicts = await judgeChains(passport, bundles)

      const { entries } = await verifyPassport(new Passport(passport), {
        trust: createX509KeySource(bundles),
      })
      expect(entries.map(({ principal }) => principal)).toEqual([
        'spiffe://example.org/hop1',
        'spiffe://example.org/hop2',
        'spiffe://example.org/hop3',
      ])
      expect(verdicts).toEqual(entries.map(({ principal }) => ({ id: principal })))
    },
  )

  it('refuses, as we do, the chains of an authority that was retired', async () => {
    const authority = await devAuthority({ workloads: { hop1: {}, hop2: {}, hop3: {} } })
    const passport = await passportOf(authority)
    await authority.rotateAuthority()
    authority.retireAuthorities()
    const bundles = { 'example.org': authority.bundle() }

    const verdicts = await judgeChains(passport, bundles)

    const unknownAuthority = { error: expect.stringContaining('signed by unknown authority') }
    expect(verdicts).toEqual([unknownAuthority, unknownAuthority, unknownAuthority])
    await expect(
      verifyPassport(new Passport(passport), { trust: createX509KeySource(bundles) }),
    ).rejects.toMatchObject({ code: 'ERR_KEST_CERTIFICATE' })
  })
})

describe('our client with a server of grpc-go and go-spiffe', () => {
  it.each(KEY_TYPES)('has SVIDs that verify, and signs with them: %s', async (keyType) => {
    const { address } = await goServer(keyType)

    const identity = use(await SPIREProvider.connect({ address, logger }))
    const { source } = identity
    const svid = source.current()
    expect(source.svids().map(({ id, hint }) => [id.toString(), hint])).toEqual([
      ['spiffe://go.test/first', ''],
      ['spiffe://go.test/second', 'second'],
    ])
    expect(svid.certificates).toHaveLength(2)
    expect(verifyX509Chain(svid.certificates, source).id.toString()).toBe('spiffe://go.test/first')

    const trust = createX509KeySource(source)
    const kest = createKest({ identity, trust, engine: new MockPolicyEngine(), logger })
    const operation = await kest.begin({ operation: 'live.sign', policy: 'live/sign', origin: 'internal' })
    operation.settle()
    const { entries } = await verifyPassport(operation.passport, { trust })
    expect(entries).toMatchObject([{ principal: 'spiffe://go.test/first' }])
  })

  it('picks an identity by its hint', async () => {
    const { address } = await goServer()
    const source = use(
      await X509Source.connect({
        address,
        pick: (svids) => svids.find(({ hint }) => hint === 'second'),
        logger,
      }),
    )
    expect(source.current().id.toString()).toBe('spiffe://go.test/second')
  })

  it('follows the rotation of SVIDs and authorities, and a withdrawal', async () => {
    const { address, program, bundle } = await goServer()
    const source = use(await X509Source.connect({ address, logger }))
    const first = source.current()

    program.write('svid')
    await change(source, () => source.current() !== first)
    const second = source.current()
    expect(source.generation).toBe(1)

    program.write('authority')
    await change(source, () => source.current() !== second)
    expect(source.getX509Bundle('go.test')?.authorities).toHaveLength(2)
    expect(source.generation).toBe(2)
    for (const { certificates } of [first, second, source.current()]) {
      expect(verifyX509Chain(certificates, source).id.toString()).toBe('spiffe://go.test/first')
    }
    expect(() =>
      verifyX509Chain(source.current().certificates, createBundleSet({ 'go.test': bundle })),
    ).toThrow(expect.objectContaining({ code: 'ERR_SPIFFE_CHAIN' }))

    program.write('deny')
    await change(source, () => source.status().error !== null)
    expect(() => source.current()).toThrow(expect.objectContaining({ code: 'ERR_SPIFFE_DENIED' }))
  })

  it('fetches JWT-SVIDs, verifies them, and has them validated', async () => {
    const { address } = await goServer()
    const client = use(new WorkloadApiClient({ address }))
    const source = use(await JWTSource.connect({ client, logger }))

    const { id, token } = await source.fetch({ audience: 'reports' })

    expect(id.toString()).toBe('spiffe://go.test/first')
    expect((await verifyJwtSvid(token, source, { audience: 'reports' })).id).toEqual(id)
    const validated = await client.validateJwtSvid({ token, audience: 'reports' })
    expect(validated.id).toEqual(id)
    expect(validated.claims).toMatchObject({ sub: 'spiffe://go.test/first', aud: 'reports' })
    await expect(client.validateJwtSvid({ token, audience: 'other' })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_JWT_SVID',
    })
  })

  it('reads a bundle document that go-spiffe wrote', async () => {
    const { bundle } = await goServer()
    const { x509, jwt } = parseSpiffeBundle(bundle, TrustDomain.parse('go.test'))
    expect(x509).toMatchObject({ sequence: 1, refreshHintMs: 60_000 })
    expect(x509.authorities).toHaveLength(1)
    expect([...jwt.keys.keys()]).toEqual(['jwt-key'])
  })
})

async function devAuthority(options: Partial<DevAuthorityOptions>): Promise<DevAuthority> {
  const defaults = { trustDomain: 'example.org', workloads: {}, logger }
  return use(await createDevAuthority({ ...defaults, ...options }))
}

async function goServer(
  keyType?: KeyType,
): Promise<{ readonly address: string; readonly program: Program; readonly bundle: unknown }> {
  const socket = join(await temporaryFolder(), 'api.sock')
  const program = use(
    startGo('workload-api-server', {
      socket,
      id: 'spiffe://go.test/first',
      'second-id': 'spiffe://go.test/second',
      'key-type': keyType,
    }),
  )
  const { bundle } = await program.next<{ bundle: unknown }>()
  return { address: `unix://${socket}`, program, bundle }
}

async function passportOf(authority: DevAuthority): Promise<readonly string[]> {
  const names = Object.entries(authority.sockets)
  const hops = await Promise.all(
    names.map(([name, address]) => startHop({ address, id: `spiffe://example.org/${name}` })),
  )
  return runChain(hops)
}

function rootsOf(authority: DevAuthority): unknown[] {
  return authority.bundle().keys.flatMap(({ use, x5c }) => (use === 'x509-svid' ? x5c : []))
}

function jwtKeyIdsOf(authority: DevAuthority): unknown[] {
  return authority.bundle().keys.flatMap(({ use, kid }) => (use === 'jwt-svid' ? [kid] : []))
}

/** Reads updates until one is as it must be: a change may come in several. */
async function updateUntil(watch: Program, holds: (update: Fetched) => boolean): Promise<Fetched> {
  for (;;) {
    const update = await watch.next<Fetched & { error?: string }>()
    if (update.error === undefined && holds(update)) return update
  }
}

function change(source: X509Source, holds: () => boolean): Promise<void> {
  const changed = new Promise<void>((resolve) => {
    const stop = source.subscribe(() => {
      if (!holds()) return
      stop()
      resolve()
    })
  })
  return before(changed, () => new Error('the source did not change'))
}
