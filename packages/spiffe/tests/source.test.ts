import { setTimeout as sleep } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'
import { RecordingLogger } from '@kest/core/testing'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { createDevAuthority, type DevAuthority } from '../src/dev-authority/index.js'
import {
  BundleSource,
  JWTSource,
  SpiffeError,
  verifyJwtSvid,
  verifyX509Chain,
  WorkloadApiClient,
  X509Source,
  type X509SourceOptions,
} from '../src/index.js'
import { createBackoff } from '../src/workload-api/backoff.js'
import { givenUp } from './support/give-up.js'
import { until } from './support/material.js'

const backoff = () => createBackoff({ stepMs: 20, maxMs: 100 })

let logger: RecordingLogger
let authority: DevAuthority
let open: { close(): void }[]

beforeEach(async () => {
  open = []
  logger = new RecordingLogger()
  authority = await createDevAuthority({
    trustDomain: 'example.org',
    workloads: {
      hop1: {},
      two: { id: ['spiffe://example.org/a', 'spiffe://example.org/b'], hints: ['outside', 'inside'] },
    },
    logger,
  })
})

afterEach(async () => {
  for (const source of open) source.close()
  await authority.close()
})

async function connect(options: X509SourceOptions = {}): Promise<X509Source> {
  const source = await X509Source.connect({
    address: authority.sockets['hop1'] as string,
    backoff,
    logger,
    ...options,
  } as X509SourceOptions)
  open.push(source)
  return source
}

function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof SpiffeError) return error.code
    throw error
  }
  return 'none'
}

describe('X509Source', () => {
  it('has an identity that verifies with its own bundle', async () => {
    const source = await connect()
    const svid = source.current()
    expect(svid.id.toString()).toBe('spiffe://example.org/hop1')
    expect(verifyX509Chain(svid.certificates, source).id.equals(svid.id)).toBe(true)
    expect(source.trustDomains()).toEqual(['example.org'])
    expect(source.status()).toMatchObject({ staleSince: null, error: null, problems: [], failures: 0 })
  })

  it('keeps one object until the identity changes, also when only bundles do', async () => {
    const source = await connect()
    const [svid, { generation }] = [source.current(), source]
    const foreign = await createDevAuthority({ trustDomain: 'other.org', workloads: {}, logger })
    authority.federateWith(foreign)
    await until(() => source.getX509Bundle('other.org') !== undefined)
    expect(source.current()).toBe(svid)
    expect(source.generation).toBeGreaterThan(generation)
    await authority.rotateSvid('hop1')
    await until(() => source.current() !== svid)
    await foreign.close()
  })

  it('follows the rotation of authorities, and drops those that are retired', async () => {
    const source = await connect()
    const { certificates } = source.current()
    await authority.rotateAuthority({ settleMs: 20 })
    await until(() => source.getX509Bundle('example.org')?.authorities.length === 2)
    expect(verifyX509Chain(certificates, source).id.path).toBe('/hop1')
    const { generation } = source
    authority.retireAuthorities()
    await until(() => source.getX509Bundle('example.org')?.authorities.length === 1)
    expect(source.generation).toBeGreaterThan(generation)
    expect(codeOf(() => verifyX509Chain(certificates, source))).toBe('ERR_SPIFFE_CHAIN')
  })

  it('drops the bundle of a domain that is no longer federated', async () => {
    const foreign = await createDevAuthority({ trustDomain: 'other.org', workloads: {}, logger })
    authority.federateWith(foreign)
    const source = await connect()
    expect(source.trustDomains()).toEqual(['example.org', 'other.org'])
    authority.separateFrom('other.org')
    await until(() => source.getX509Bundle('other.org') === undefined)
    await foreign.close()
  })

  it('picks the default identity, or the one that the caller wants', async () => {
    const address = authority.sockets['two'] as string
    expect((await connect({ address })).current().id.path).toBe('/a')
    const inside = await connect({ address, pick: (svids) => svids.find(({ hint }) => hint === 'inside') })
    expect(inside.current().id.path).toBe('/b')
    expect(inside.svids().map(({ hint }) => hint)).toEqual(['outside', 'inside'])
    await authority.rotateSvid()
    await until(() => inside.status().updates > 1)
    expect(inside.current().id.path).toBe('/b')
  })

  it('has no identity when none is picked, or the caller’s function throws', async () => {
    for (const pick of [
      () => undefined,
      () => {
        throw new Error('mine')
      },
    ]) {
      expect(await givenUp((connectTimeoutMs) => connect({ pick, connectTimeoutMs }))).toMatchObject({
        code: 'ERR_SPIFFE_TIMEOUT',
        cause: { code: 'ERR_SPIFFE_NO_SVID' },
      })
    }
  })

  it('waits for a socket that appears late', async () => {
    await authority.stop('hop1')
    const connecting = connect()
    await sleep(150)
    await authority.start('hop1')
    expect((await connecting).current().id.path).toBe('/hop1')
  })

  it('gives up after its time, saying what was in the way', async () => {
    await authority.stop('hop1')
    expect(await givenUp((connectTimeoutMs) => connect({ connectTimeoutMs }))).toMatchObject({
      code: 'ERR_SPIFFE_TIMEOUT',
      cause: { code: 'ERR_SPIFFE_UNAVAILABLE' },
    })
    authority.withdraw('two')
    const address = authority.sockets['two'] as string
    expect(await givenUp((connectTimeoutMs) => connect({ address, connectTimeoutMs }))).toMatchObject({
      code: 'ERR_SPIFFE_TIMEOUT',
      cause: { code: 'ERR_SPIFFE_DENIED' },
    })
  })

  it('gives up when the caller does', async () => {
    await authority.stop('hop1')
    const signal = AbortSignal.timeout(50)
    await expect(connect({ signal })).rejects.toMatchObject({ code: 'ERR_SPIFFE_ABORTED' })
    await expect(connect({ signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_ABORTED',
    })
  })

  it('stops using an identity that is withdrawn, at once, and takes it up when it is given back', async () => {
    const source = await connect()
    const { generation } = source
    authority.withdraw('hop1')
    await until(() => codeOf(() => source.current()) === 'ERR_SPIFFE_DENIED')
    expect(codeOf(() => source.getX509Bundle('example.org'))).toBe('ERR_SPIFFE_DENIED')
    expect(source.generation).toBeGreaterThan(generation)
    authority.restore('hop1')
    await until(() => codeOf(() => source.current()) === 'none')
  })

  it('serves on through a restart of the agent, says that it is stale, and recovers', async () => {
    const source = await connect()
    const svid = source.current()
    await authority.stop('hop1')
    await until(() => source.status().staleSince !== null)
    expect(source.current()).toBe(svid)
    expect(source.status().error?.code).toBe('ERR_SPIFFE_UNAVAILABLE')
    await authority.start('hop1')
    await until(() => source.status().staleSince === null)
    expect(source.current()).toBe(svid)
  })

  it('is not relied on longer than its operator allows', async () => {
    const source = await connect({ maxStaleMs: 0 })
    await authority.stop('hop1')
    await until(() => codeOf(() => source.current()) === 'ERR_SPIFFE_STALE')
    expect(codeOf(() => source.getX509Bundle('example.org'))).toBe('ERR_SPIFFE_STALE')
    await authority.start('hop1')
    await until(() => codeOf(() => source.current()) === 'none')
  })

  it('never gives out an identity that has expired, or is not valid yet', async () => {
    let shift = 0
    const source = await connect({ clock: { now: () => Date.now() + shift } })
    shift = 3_602_000
    expect(codeOf(() => source.current())).toBe('ERR_SPIFFE_EXPIRED')
    shift = -60_000
    expect(codeOf(() => source.current())).toBe('ERR_SPIFFE_EXPIRED')
    shift = 0
    expect(codeOf(() => source.current())).toBe('none')
  })

  it('tells its subscribers of changes, whatever one of them throws', async () => {
    const source = await connect()
    let calls = 0
    source.subscribe(() => {
      throw new Error('mine')
    })
    const stop = source.subscribe(() => calls++)
    await authority.rotateSvid('hop1')
    await until(() => calls === 1)
    stop()
    const { updates } = source.status()
    await authority.rotateSvid('hop1')
    await until(() => source.status().updates > updates)
    expect(calls).toBe(1)
    expect(logger.records.filter(({ message }) => message === 'a listener threw')).toHaveLength(2)
  })

  it('closes as often as one likes, and then has nothing any more', async () => {
    const source = await connect()
    source.close()
    source.close()
    expect(codeOf(() => source.current())).toBe('ERR_SPIFFE_CLOSED')
    expect(codeOf(() => source.getX509Bundle('example.org'))).toBe('ERR_SPIFFE_CLOSED')
  })

  it('leaves open the client that it was given', async () => {
    const client = new WorkloadApiClient({ address: authority.sockets['hop1'] as string, logger })
    open.push(client)
    ;(await X509Source.connect({ client, logger })).close()
    const source = await X509Source.connect({ client, logger })
    expect(source.current().id.path).toBe('/hop1')
    await expect(X509Source.connect({ client, address: 'unix:///x' } as never)).rejects.toMatchObject({
      code: 'ERR_SPIFFE_CONFIG',
    })
  })
})

describe('a client that is closed', () => {
  it('closes the sources that share it, which trust nothing any more', async () => {
    const client = new WorkloadApiClient({ address: authority.sockets['hop1'] as string, logger })
    const [identity, bundles, tokens] = await Promise.all([
      X509Source.connect({ client, logger }),
      BundleSource.connect({ client, logger }),
      JWTSource.connect({ client, logger }),
    ])
    const { generation } = identity
    client.close()
    for (const ask of [
      () => identity.current(),
      () => identity.getX509Bundle('example.org'),
      () => bundles.getX509Bundle('example.org'),
      () => tokens.getJwtBundle('example.org'),
    ]) {
      expect(codeOf(ask)).toBe('ERR_SPIFFE_CLOSED')
    }
    expect(identity.generation).toBeGreaterThan(generation)
  })

  it('holds nobody up who would make another source of it', async () => {
    const client = new WorkloadApiClient({ address: authority.sockets['hop1'] as string, logger })
    client.close()
    const [setting, clearing] = [vi.spyOn(globalThis, 'setTimeout'), vi.spyOn(globalThis, 'clearTimeout')]
    onTestFinished(() => {
      setting.mockRestore()
      clearing.mockRestore()
    })
    const connectTimeoutMs = 54_321
    await expect(X509Source.connect({ client, logger, connectTimeoutMs })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_CLOSED',
    })
    const timers = setting.mock.results.filter((_, n) => setting.mock.calls[n]?.[1] === connectTimeoutMs)
    expect(timers).toHaveLength(1)
    expect(clearing).toHaveBeenCalledWith(timers[0]?.value)
  })
})

it.each([2 ** 31, Number.POSITIVE_INFINITY, 0, Number.NaN])(
  'waits for no time that a timer cannot: %s',
  async (connectTimeoutMs) => {
    await expect(connect({ connectTimeoutMs })).rejects.toMatchObject({ code: 'ERR_SPIFFE_CONFIG' })
  },
)

it('BundleSource follows bundles without an identity', async () => {
  const source = await BundleSource.connect({ address: authority.sockets['hop1'] as string, backoff, logger })
  open.push(source)
  expect(source.getX509Bundle('example.org')?.authorities).toHaveLength(1)
  const { generation } = source
  await authority.rotateAuthority({ settleMs: 10 })
  await until(() => source.getX509Bundle('example.org')?.authorities.length === 2)
  expect(source.generation).toBeGreaterThan(generation)
  authority.withdraw('hop1')
  await until(() => codeOf(() => source.getX509Bundle('example.org')) === 'ERR_SPIFFE_DENIED')
})

describe('JWTSource', () => {
  it('fetches tokens that others verify, before and after the authority rotates', async () => {
    const [mine, theirs] = (await Promise.all(
      ['hop1', 'two'].map((name) =>
        JWTSource.connect({ address: authority.sockets[name] as string, backoff, logger }),
      ),
    )) as [JWTSource, JWTSource]
    open.push(mine, theirs)
    const audience = 'spiffe://example.org/a'
    const first = await mine.fetch({ audience })
    expect((await verifyJwtSvid(first.token, theirs, { audience })).id.path).toBe('/hop1')
    await authority.rotateAuthority({ settleMs: 20 })
    const second = await mine.fetch({ audience })
    await until(() => theirs.getJwtBundle('example.org')?.keys.size === 2)
    expect((await verifyJwtSvid(second.token, theirs, { audience })).id.path).toBe('/hop1')
    authority.retireAuthorities()
    await until(() => theirs.getJwtBundle('example.org')?.keys.size === 1)
    await expect(verifyJwtSvid(first.token, theirs, { audience })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_JWT_SVID',
    })
  })

  it('lets the Workload API validate a token', async () => {
    const client = new WorkloadApiClient({ address: authority.sockets['hop1'] as string, logger })
    open.push(client)
    const [svid] = await client.fetchJwtSvids({ audience: 'x' })
    const { id, claims } = await client.validateJwtSvid({ token: svid?.token ?? '', audience: 'x' })
    expect([id.path, claims['aud']]).toEqual(['/hop1', ['x']])
    await expect(client.validateJwtSvid({ token: svid?.token ?? '', audience: 'y' })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_JWT_SVID',
      cause: { cause: { code: status.INVALID_ARGUMENT } },
    })
    await expect(client.fetchJwtSvids({ audience: [] })).rejects.toMatchObject({ code: 'ERR_SPIFFE_CONFIG' })
  })
})
