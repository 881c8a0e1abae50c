import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { status } from '@grpc/grpc-js'
import { decodeJwt } from 'jose'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { rawClient, type Stream } from '../../tests/support/raw-client.js'
import { createBundleSet } from '../bundle/bundle-set.js'
import { parseJwtBundle, parseSpiffeBundle } from '../bundle/spiffe-bundle.js'
import { X509Bundle } from '../bundle/x509-bundle.js'
import { verifyJwtSvid } from '../svid/jwt-svid.js'
import { parseX509Svid, type X509Svid } from '../svid/x509-svid.js'
import { verifyX509Chain } from '../verification/verify-chain.js'
import { workloadApi } from '../workload-api/service.js'
import {
  JWTBundlesRequestSchema,
  JWTSVIDRequestSchema,
  ValidateJWTSVIDRequestSchema,
  X509BundlesRequestSchema,
  X509SVIDRequestSchema,
  type X509SVIDResponse,
} from '../workload-api/workload_pb.js'
import { splitCertificates } from '../x509/certificate.js'
import { createDevAuthority, type DevAuthority } from './dev-authority.js'
import type { DevAuthorityOptions } from './options.js'

const HOP1 = 'spiffe://example.org/hop1'
const logger = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() }

afterEach(() => vi.unstubAllEnvs())

async function start(options: Partial<DevAuthorityOptions> = {}): Promise<DevAuthority> {
  const authority = await createDevAuthority({
    trustDomain: 'example.org',
    workloads: { hop1: {} },
    logger,
    ...options,
  })
  onTestFinished(() => authority.close())
  return authority
}

function socketOf(authority: DevAuthority, name = 'hop1'): string {
  return authority.sockets[name] as string
}

function svids(authority: DevAuthority, name?: string): Stream<X509SVIDResponse> {
  return rawClient(socketOf(authority, name)).stream(workloadApi.fetchX509SVID, create(X509SVIDRequestSchema))
}

function svidOf({ svids: [svid] }: X509SVIDResponse): X509Svid {
  if (svid === undefined) throw new Error('no SVID')
  return parseX509Svid(svid.x509Svid, svid.x509SvidKey, { hint: svid.hint })
}

/** Verifies what came against the bundle that came with it. */
function verified(response: X509SVIDResponse): string {
  const bundle = new X509Bundle(
    'example.org',
    splitCertificates(response.svids[0]?.bundle ?? new Uint8Array(), 9),
  )
  return verifyX509Chain(
    svidOf(response).certificates,
    createBundleSet({ 'example.org': bundle }),
  ).id.toString()
}

describe('createDevAuthority', () => {
  it.each([
    ['ec-p256', 0],
    ['ec-p384', 1],
    ['rsa-2048', 2],
  ] as const)('issues SVIDs that verify: %s with %i intermediates', async (keyType, intermediates) => {
    const authority = await start({ keyType, intermediates })
    const response = await svids(authority).next()
    expect(verified(response)).toBe(HOP1)
    expect(svidOf(response).certificates).toHaveLength(1 + intermediates)
    expect(
      verifyX509Chain(svidOf(response).certificates, createBundleSet({ 'example.org': authority.bundle() }))
        .id,
    ).toMatchObject({ path: '/hop1' })
  })

  it('says once that it attests nothing', async () => {
    logger.warn.mockClear()
    await start()
    expect(logger.warn).toHaveBeenCalledExactlyOnceWith(
      expect.objectContaining({ trustDomain: 'example.org' }),
      expect.stringContaining('nothing else is attested'),
    )
  })

  it('does not run in production', async () => {
    vi.stubEnv('NODE_ENV', 'production')
    await expect(start()).rejects.toMatchObject({ code: 'ERR_SPIFFE_DEV_AUTHORITY' })
  })

  it('gives each workload the identity of its socket, which only its owner may open', async () => {
    const authority = await start({
      workloads: { hop1: {}, 'hop-2': { id: 'spiffe://example.org/ns/a/sa/b' } },
    })
    expect(svidOf(await svids(authority).next()).id.toString()).toBe(HOP1)
    expect(svidOf(await svids(authority, 'hop-2').next()).id.toString()).toBe(
      'spiffe://example.org/ns/a/sa/b',
    )
    const path = socketOf(authority).slice('unix://'.length)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await stat(dirname(path))).mode & 0o777).toBe(0o700)
  })

  it('gives a workload several identities, the default one first, with hints', async () => {
    const id = [HOP1, 'spiffe://example.org/admin']
    const authority = await start({ workloads: { hop1: { id, hints: ['internal', 'external'] } } })
    const { svids: all } = await svids(authority).next()
    expect(all.map(({ spiffeId, hint }) => [spiffeId, hint])).toEqual([
      [HOP1, 'internal'],
      ['spiffe://example.org/admin', 'external'],
    ])
  })

  it('takes its sockets away when it is closed, twice too, and leaves a directory that is not its own', async () => {
    const own = await start()
    const path = socketOf(own).slice('unix://'.length)
    await own.close()
    await own.close()
    expect(existsSync(dirname(path))).toBe(false)
    const socketDirectory = await mkdtemp(join(tmpdir(), 'kest-dev-'))
    onTestFinished(() => rm(socketDirectory, { recursive: true }))
    const other = await start({ socketDirectory })
    expect(await readdir(socketDirectory)).toEqual(['hop1.sock'])
    await other.close()
    expect(await readdir(socketDirectory)).toEqual([])
    await expect(other.start()).rejects.toMatchObject({ code: 'ERR_SPIFFE_CLOSED' })
  })

  it.each([
    ['a domain in upper case', { trustDomain: 'Example.org' }, 'ERR_SPIFFE_TRUST_DOMAIN'],
    ["another domain's ID", { workloads: { a: { id: 'spiffe://other.test/a' } } }, 'ERR_SPIFFE_CONFIG'],
    ['an ID without a path', { workloads: { a: { id: 'spiffe://example.org' } } }, 'ERR_SPIFFE_CONFIG'],
    ['no ID', { workloads: { a: { id: [] } } }, 'ERR_SPIFFE_CONFIG'],
    ['more hints than IDs', { workloads: { a: { hints: ['a', 'b'] } } }, 'ERR_SPIFFE_CONFIG'],
    ['a name that leaves the directory', { workloads: { '../a': {} } }, 'ERR_SPIFFE_CONFIG'],
    ['a name with a slash', { workloads: { 'a/b': {} } }, 'ERR_SPIFFE_CONFIG'],
    ['a life that is too short', { ttlMs: 999 }, 'ERR_SPIFFE_CONFIG'],
    ['a life that overflows a timer', { ttlMs: 2 ** 32 }, 'ERR_SPIFFE_CONFIG'],
    ['a life of a workload that is none', { workloads: { a: { ttlMs: Number.NaN } } }, 'ERR_SPIFFE_CONFIG'],
    ['a kind of key that there is not', { keyType: 'ed25519' as never }, 'ERR_SPIFFE_CONFIG'],
    ['too many intermediates', { intermediates: 4 }, 'ERR_SPIFFE_CONFIG'],
    ['a path too long for a socket', { socketDirectory: `/tmp/${'x'.repeat(100)}` }, 'ERR_SPIFFE_CONFIG'],
    ['a directory that is not there', { socketDirectory: '/tmp/kest-is-not-there' }, 'ERR_SPIFFE_CONFIG'],
  ])('refuses %s', async (_what, options, code) => {
    await expect(start(options)).rejects.toMatchObject({ code })
  })
})

describe('sockets', () => {
  it('refuses a path that is too long for one', async () => {
    const socketDirectory = await mkdtemp(join(tmpdir(), `kest-${'x'.repeat(100)}-`))
    onTestFinished(() => rm(socketDirectory, { recursive: true }))
    await expect(start({ socketDirectory })).rejects.toMatchObject({ code: 'ERR_SPIFFE_CONFIG' })
  })

  it('refuses a name that another authority listens on', async () => {
    const socketDirectory = await mkdtemp(join(tmpdir(), 'kest-dev-'))
    onTestFinished(() => rm(socketDirectory, { recursive: true }))
    const first = await start({ socketDirectory })
    await expect(start({ socketDirectory })).rejects.toMatchObject({ code: 'ERR_SPIFFE_DEV_AUTHORITY' })
    expect(verified(await svids(first).next())).toBe(HOP1)
  })
})

describe('rotation', () => {
  it('renews SVIDs at half of their life, on the streams that are open', async () => {
    const authority = await start({ ttlMs: 1000 })
    const stream = svids(authority)
    const seen = [await stream.next(), await stream.next(), await stream.next()].map(svidOf)
    const keys = new Set(seen.map(({ privateKey }) => privateKey.export({ format: 'pem', type: 'pkcs8' })))
    expect(keys.size).toBe(3)
  })

  it('renews one workload, or all', async () => {
    const authority = await start({ workloads: { hop1: {}, hop2: {} } })
    const streams = [svids(authority, 'hop1'), svids(authority, 'hop2')] as const
    for (const stream of streams) await stream.next()
    await authority.rotateSvid('hop1')
    await streams[0].next()
    await authority.rotateSvid()
    for (const stream of streams) await stream.next()
    await expect(authority.rotateSvid('hop3')).rejects.toMatchObject({ code: 'ERR_SPIFFE_CONFIG' })
  })

  it('shows a new authority before it signs, and keeps the old one until it is retired', async () => {
    const authority = await start()
    const before = svidOf(await svids(authority).next())
    const stream = svids(authority)
    await stream.next()
    const rotating = authority.rotateAuthority({ settleMs: 100 })
    const announced = await stream.next()
    expect(splitCertificates(announced.svids[0]?.bundle ?? new Uint8Array(), 9)).toHaveLength(2)
    expect(svidOf(announced).certificates).toEqual(before.certificates)
    await rotating
    const after = await svids(authority).next()
    expect(verified(after)).toBe(HOP1)
    expect(svidOf(after).certificates).not.toEqual(before.certificates)

    const verify = ({ certificates }: X509Svid): unknown =>
      verifyX509Chain(certificates, createBundleSet({ 'example.org': authority.bundle() }))
    verify(before)
    const { spiffe_sequence: sequence } = authority.bundle()
    authority.retireAuthorities()
    expect(() => verify(before)).toThrow('no authority')
    verify(svidOf(after))
    expect(authority.bundle().spiffe_sequence).toBeGreaterThan(sequence)
  })

  it('takes an identity away and gives it back', async () => {
    const authority = await start()
    const stream = svids(authority)
    await stream.next()
    authority.withdraw('hop1')
    expect(await stream.ended()).toMatchObject({ code: status.PERMISSION_DENIED })
    expect(await svids(authority).ended()).toMatchObject({ code: status.PERMISSION_DENIED })
    authority.restore('hop1')
    expect(verified(await svids(authority).next())).toBe(HOP1)
  })

  it('stops and starts again at the same address', async () => {
    const authority = await start()
    const address = socketOf(authority)
    const stream = svids(authority)
    await stream.next()
    await authority.stop('hop1')
    expect(await stream.ended()).toMatchObject({ code: expect.toSatisfy((code) => code !== status.OK) })
    expect(existsSync(address.slice('unix://'.length))).toBe(false)
    await authority.start()
    expect(verified(await svids(authority).next())).toBe(HOP1)
  })

  it('leaves no socket behind that was being put back when it was closed', async () => {
    const socketDirectory = await mkdtemp(join(tmpdir(), 'kest-dev-'))
    onTestFinished(() => rm(socketDirectory, { recursive: true }))
    const authority = await start({ socketDirectory })
    await authority.stop()
    const starting = authority.start()
    await authority.close()
    await starting
    expect(await readdir(socketDirectory)).toEqual([])
  })
})

describe('the Workload API of the development authority', () => {
  const requests = {
    fetchX509SVID: create(X509SVIDRequestSchema),
    fetchX509Bundles: create(X509BundlesRequestSchema),
    fetchJWTBundles: create(JWTBundlesRequestSchema),
  }

  it.each(['fetchX509SVID', 'fetchX509Bundles', 'fetchJWTBundles'] as const)(
    '%s wants the security header',
    async (method) => {
      const authority = await start()
      const client = rawClient(socketOf(authority))
      const headers: Record<string, string>[] = [
        {},
        { 'workload.spiffe.io': 'false' },
        { 'workload.spiffe.io': 'TRUE' },
      ]
      for (const wrong of headers) {
        const stream = client.stream(
          workloadApi[method] as typeof workloadApi.fetchX509SVID,
          requests[method] as never,
          wrong,
        )
        expect(await stream.ended()).toMatchObject({ code: status.INVALID_ARGUMENT })
      }
    },
  )

  it('wants the security header of unary calls too', async () => {
    const client = rawClient(socketOf(await start()))
    const svid = create(JWTSVIDRequestSchema, { audience: ['a'] })
    const validate = create(ValidateJWTSVIDRequestSchema, { audience: 'a', svid: 'x' })
    const refused = { code: status.INVALID_ARGUMENT, details: expect.stringContaining('security header') }
    await expect(client.unary(workloadApi.fetchJWTSVID, svid, {})).rejects.toMatchObject(refused)
    await expect(client.unary(workloadApi.validateJWTSVID, validate, {})).rejects.toMatchObject(refused)
  })

  it('sends the bundles of its own domain and of those that it federates with, and their changes', async () => {
    const authority = await start()
    const partner = await start({ trustDomain: 'partner.test', workloads: {} })
    const stream = rawClient(socketOf(authority)).stream(
      workloadApi.fetchX509Bundles,
      requests.fetchX509Bundles,
    )
    expect(Object.keys((await stream.next()).bundles)).toEqual(['spiffe://example.org'])
    authority.federateWith(partner)
    const { bundles } = await stream.next()
    expect(Object.keys(bundles).sort()).toEqual(['spiffe://example.org', 'spiffe://partner.test'])
    const der = parseSpiffeBundle(partner.bundle(), 'partner.test').x509.authorities
    expect(Buffer.concat(der).equals(bundles['spiffe://partner.test'] as Uint8Array)).toBe(true)

    await partner.rotateAuthority({ settleMs: 0 })
    await stream.next()
    const latest = await stream.next()
    expect(splitCertificates(latest.bundles['spiffe://partner.test'] as Uint8Array, 9)).toHaveLength(2)
    expect((await svids(authority).next()).federatedBundles).toHaveProperty('spiffe://partner.test')

    authority.separateFrom('partner.test')
    expect(Object.keys((await stream.next()).bundles)).toEqual(['spiffe://example.org'])
    partner.retireAuthorities()
    expect((await svids(authority).next()).federatedBundles).toEqual({})
  })

  it('federates with a domain whose bundle it is given, never with its own', async () => {
    const authority = await start()
    const partner = await start({ trustDomain: 'partner.test', workloads: {} })
    authority.federateWith('partner.test', JSON.stringify(partner.bundle()))
    expect((await svids(authority).next()).federatedBundles).toHaveProperty('spiffe://partner.test')
    expect(() => authority.federateWith('example.org', partner.bundle())).toThrow('its own')
    expect(() => authority.federateWith('third.test', {})).toThrow('keys')
  })

  it('issues and validates JWT-SVIDs', async () => {
    const authority = await start({ jwtTtlMs: 60_000 })
    const client = rawClient(socketOf(authority))
    const { bundles } = await client.stream(workloadApi.fetchJWTBundles, requests.fetchJWTBundles).next()
    const bundle = parseJwtBundle(bundles['spiffe://example.org'], 'example.org')
    const { svids: tokens } = await client.unary(
      workloadApi.fetchJWTSVID,
      create(JWTSVIDRequestSchema, { audience: ['orders', 'billing'] }),
    )
    const svid = tokens[0]?.svid ?? ''
    const { exp = 0, iat = 0, ...claims } = decodeJwt(svid)
    expect(claims).toEqual({ sub: HOP1, aud: ['orders', 'billing'] })
    expect(exp - iat).toBeGreaterThanOrEqual(59)
    expect(exp - iat).toBeLessThanOrEqual(60)
    const source = { getJwtBundle: () => bundle }
    expect((await verifyJwtSvid(svid, source, { audience: 'billing' })).id.toString()).toBe(HOP1)

    const validate = (audience: string, token = svid): Promise<{ spiffeId: string; claims?: unknown }> =>
      client.unary(
        workloadApi.validateJWTSVID,
        create(ValidateJWTSVIDRequestSchema, { audience, svid: token }),
      )
    expect(await validate('orders')).toMatchObject({ spiffeId: HOP1, claims: { sub: HOP1 } })
    for (const [audience, token] of [
      ['other', svid],
      ['', svid],
      ['orders', ''],
      ['orders', `${svid}x`],
    ] as const) {
      await expect(validate(audience, token)).rejects.toMatchObject({ code: status.INVALID_ARGUMENT })
    }
    authority.retireAuthorities()
    await validate('orders')
    await authority.rotateAuthority({ settleMs: 0 })
    await validate('orders')
    authority.retireAuthorities()
    await expect(validate('orders')).rejects.toMatchObject({ code: status.INVALID_ARGUMENT })
  })

  it('issues JWT-SVIDs for an audience, and for identities that are the caller’s alone', async () => {
    const client = rawClient(socketOf(await start()))
    const fetch = (request: { audience: string[]; spiffeId?: string }): Promise<unknown> =>
      client.unary(workloadApi.fetchJWTSVID, create(JWTSVIDRequestSchema, request))
    await fetch({ audience: ['a'], spiffeId: HOP1 })
    await expect(fetch({ audience: [] })).rejects.toMatchObject({ code: status.INVALID_ARGUMENT })
    await expect(fetch({ audience: [''] })).rejects.toMatchObject({ code: status.INVALID_ARGUMENT })
    await expect(fetch({ audience: ['a'], spiffeId: 'spiffe://example.org/hop2' })).rejects.toMatchObject({
      code: status.PERMISSION_DENIED,
    })
  })

  it('sends a reader that cannot follow the latest state, not every one', async () => {
    const authority = await start()
    const partner = await start({ trustDomain: 'partner.test', workloads: {} })
    const stream = svids(authority)
    await stream.next()
    for (let i = 0; i < 400; i++) authority.federateWith(`partner-${i}.test`, partner.bundle())
    let messages = 0
    for (let domains = 0; domains < 400; messages++)
      domains = Object.keys((await stream.next()).federatedBundles).length
    expect(messages).toBeLessThan(100)
  })
})
