import { X509Certificate } from 'node:crypto'
import { type JwsHeader, KestConfigError, KestError, type KeyQuery } from '@kest/core'
import { afterAll, describe, expect, it, vi } from 'vitest'
import {
  DOMAIN,
  ec,
  HOP1,
  HOUR,
  leafOf,
  NOW,
  rsa,
  signerOf,
  unknownExtension,
} from '../../tests/support/certificates.js'
import type { X509BundleSource } from '../bundle/bundle-source.js'
import { X509Bundle } from '../bundle/x509-bundle.js'
import { SpiffeError } from '../errors.js'
import { createX509KeySource } from './key-source.js'

const root = signerOf('root')
const intermediate = signerOf('intermediate', root)
const bundle = new X509Bundle(DOMAIN, [root.certificate])

function query(chain: readonly Uint8Array[], changes: Partial<KeyQuery> = {}): KeyQuery {
  const header = { alg: 'ES256', typ: 'JWS', x5c: chain.map((der) => Buffer.from(der).toString('base64')) }
  return { principal: HOP1, header: header as JwsHeader, time: NOW, ...changes }
}

/** A source whose bundle the test changes. */
class Bundles implements X509BundleSource {
  generation = 0
  lookups = 0
  #bundle: X509Bundle | undefined = bundle

  set bundle(next: X509Bundle | undefined) {
    this.#bundle = next
    this.generation++
  }

  getX509Bundle(trustDomain: string): X509Bundle | undefined {
    this.lookups++
    return trustDomain === DOMAIN ? this.#bundle : undefined
  }
}

describe('createX509KeySource', () => {
  it('is a source of X.509 trust, with the generation of its bundles', () => {
    const bundles = new Bundles()
    const source = createX509KeySource(bundles)
    expect(source).toMatchObject({ kind: 'x509', name: 'x509', generation: 0 })
    bundles.bundle = bundle
    expect(source.generation).toBe(1)
    expect(createX509KeySource(bundles, { name: 'mesh' }).name).toBe('mesh')
  })

  it.each([
    ['P-256', ec(), ['ES256']],
    ['P-384', ec('P-384'), ['ES384']],
    ['RSA', rsa(2048), ['PS256', 'RS256']],
  ])(
    'K-ALG answers with the key of the leaf and what that is used with: %s',
    async (_kind, keys, algorithms) => {
      const [found] = await createX509KeySource({ [DOMAIN]: bundle }).find(
        query([leafOf(root, {}, { keys })]),
      )
      expect(found?.key.equals(keys.publicKey)).toBe(true)
      expect(found?.algorithms).toEqual(algorithms)
    },
  )

  it('K-BIND knows principals of its domains alone, and only those with certificates', async () => {
    const source = createX509KeySource({ [DOMAIN]: bundle })
    const chain = [leafOf(root)]
    for (const principal of ['spiffe://partner.test/svc', 'arn:aws:iam::1:role/x', 'hop1', '']) {
      expect(await source.find(query(chain, { principal }))).toEqual([])
    }
    expect(await source.find(query(chain, { header: { alg: 'ES256', typ: 'JWS' } }))).toEqual([])
  })

  it.each([`spiffe://${DOMAIN}/hop2`, `spiffe://${DOMAIN}/hop`, `spiffe://${DOMAIN}/hop1/x`])(
    'K-BIND refuses the certificate of another principal: %s',
    async (principal) => {
      const source = createX509KeySource({ [DOMAIN]: bundle })
      const chain = [leafOf(root)]
      expect(refusal(() => source.find(query(chain, { principal })))).toBe('ERR_KEST_CERTIFICATE')
      // Also when the chain is known by then.
      await source.find(query(chain))
      expect(refusal(() => source.find(query(chain, { principal })))).toBe('ERR_KEST_CERTIFICATE')
    },
  )

  it('K-BIND refuses the certificate of a principal of another domain, whatever is cached', async () => {
    const partner = new X509Bundle('partner.test', [root.certificate])
    const source = createX509KeySource({ [DOMAIN]: bundle, 'partner.test': partner })
    const chain = [leafOf(root)]
    await source.find(query(chain))
    const principal = 'spiffe://partner.test/hop1'
    expect(refusal(() => source.find(query(chain, { principal })))).toBe('ERR_KEST_CERTIFICATE')
  })

  it('K-TIME judges the time that is asked for, every time', async () => {
    const source = createX509KeySource({ [DOMAIN]: bundle })
    const chain = [leafOf(intermediate), intermediate.certificate]
    for (let round = 0; round < 2; round++) {
      expect(await source.find(query(chain))).toHaveLength(1)
      expect(refusal(() => source.find(query(chain, { time: NOW + 2 * HOUR })))).toBe('ERR_KEST_CERTIFICATE')
      expect(refusal(() => source.find(query(chain, { time: NOW - 2 * HOUR })))).toBe('ERR_KEST_CERTIFICATE')
    }
    for (const time of [Number.NaN, Number.MAX_SAFE_INTEGER, -1]) {
      expect(refusal(() => source.find(query(chain, { time })))).toBe('ERR_KEST_CERTIFICATE')
    }
  })

  it('verifies a chain once for all entries that carry it', async () => {
    const source = createX509KeySource(new Bundles())
    const chain = [leafOf(root)]
    const [first] = await source.find(query(chain))
    const [second] = await source.find(query(chain))
    expect(second?.key).toBe(first?.key)
  })

  it('knows principals of its domains, without looking at any certificate', () => {
    const source = createX509KeySource({ [DOMAIN]: bundle })
    expect(source.knows?.(HOP1)).toBe(true)
    for (const principal of ['spiffe://partner.test/svc', 'arn:aws:iam::1:role/x', '']) {
      expect(source.knows?.(principal)).toBe(false)
    }
    const failing: X509BundleSource = {
      generation: 0,
      getX509Bundle: () => {
        throw new Error('not now')
      },
    }
    expect(createX509KeySource(failing).knows?.(HOP1)).toBe(true)
  })

  describe('what is done before a chain is refused', () => {
    const read = vi.spyOn(X509Certificate.prototype, 'raw', 'get')
    const verify = vi.spyOn(X509Certificate.prototype, 'verify')
    afterAll(() => {
      read.mockRestore()
      verify.mockRestore()
    })
    const counted = (ask: () => unknown) => {
      read.mockClear()
      verify.mockClear()
      expect(refusal(ask)).toBe('ERR_KEST_CERTIFICATE')
      return { read: read.mock.calls.length, verified: verify.mock.calls.length }
    }
    // The authority's name, and a key that costs the most.
    const imposter = signerOf('root', undefined, {}, { keys: ec('P-521') })
    const first = signerOf('first', imposter, {}, { keys: ec('P-521') })
    const second = signerOf('second', first, {}, { keys: ec('P-521') })

    it('K-LIMIT reads one certificate where no authority stands behind the last, and checks one signature', async () => {
      const source = createX509KeySource({ [DOMAIN]: bundle })
      await source.find(query([leafOf(root)]))
      const chain = [leafOf(second), second.certificate, first.certificate]
      expect(counted(() => source.find(query(chain)))).toEqual({ read: 1, verified: 1 })
      expect(counted(() => source.find(query([leafOf(first), imposter.certificate])))).toMatchObject({
        read: 1,
      })
    })

    it('K-LIMIT checks no signature with a key that nobody vouches for', async () => {
      const source = createX509KeySource({ [DOMAIN]: bundle })
      await source.find(query([leafOf(root)]))
      const chain = [leafOf(second), second.certificate, first.certificate, intermediate.certificate]
      // The intermediate by the root, and what is below by the intermediate.
      expect(counted(() => source.find(query(chain))).verified).toBeLessThanOrEqual(2)
    })

    it('K-LIMIT has a chain fail once for all who might have it as theirs, until a bundle changes', async () => {
      const bundles = new Bundles()
      const source = createX509KeySource(bundles)
      await source.find(query([leafOf(root)]))
      const { header } = query([leafOf(imposter)])
      Object.freeze(header.x5c)
      const ask = (principal: string) => counted(() => source.find({ principal, header, time: NOW }))
      expect(ask(HOP1).read).toBe(1)
      expect(ask(`spiffe://${DOMAIN}/hop2`)).toEqual({ read: 0, verified: 0 })
      bundles.bundle = new X509Bundle(DOMAIN, [imposter.certificate])
      expect(source.find({ principal: HOP1, header, time: NOW })).toHaveLength(1)
    })

    it('K-LIMIT reads no certificate of more extensions than any has', () => {
      const source = createX509KeySource({ [DOMAIN]: bundle })
      const extensions = Array.from({ length: 40 }, () => unknownExtension(false))
      const many = Object.fromEntries(extensions.map((extension, i) => [`unknown-${i}`, extension]))
      expect(() => source.find(query([leafOf(root, many)]))).toThrow(
        expect.objectContaining({ cause: expect.objectContaining({ cause: new Error('45 extensions') }) }),
      )
    })
  })

  it('forgets what an authority signed when it leaves the bundle', async () => {
    const bundles = new Bundles()
    const source = createX509KeySource(bundles)
    const chain = [leafOf(root)]
    expect(await source.find(query(chain))).toHaveLength(1)
    bundles.bundle = new X509Bundle(DOMAIN, [signerOf('root').certificate])
    expect(refusal(() => source.find(query(chain)))).toBe('ERR_KEST_CERTIFICATE')
    bundles.bundle = undefined
    expect(await source.find(query(chain))).toEqual([])
    bundles.bundle = bundle
    expect(await source.find(query(chain))).toHaveLength(1)
  })

  it('remembers so many chains and no more, those used last', async () => {
    const source = createX509KeySource({ [DOMAIN]: bundle }, { cacheSize: 2 })
    const [a, b, c] = [leafOf(root), leafOf(root), leafOf(root)] as const
    const keyOf = async (leaf: Uint8Array): Promise<unknown> => (await source.find(query([leaf])))[0]?.key
    const first = await keyOf(a)
    const second = await keyOf(b)
    expect(await keyOf(a)).toBe(first)
    await keyOf(c)
    expect(await keyOf(a)).toBe(first)
    expect(await keyOf(b)).not.toBe(second)
  })

  it('says that it cannot tell when its bundles cannot', () => {
    const getX509Bundle = vi.fn(() => {
      throw new SpiffeError('ERR_SPIFFE_STALE', 'the agent is gone')
    })
    const source = createX509KeySource({ generation: 0, getX509Bundle })
    const error = caught(() => source.find(query([leafOf(root)]))) as KestError
    expect(error).toBeInstanceOf(KestError)
    expect(error.code).toBe('ERR_KEST_KEYS_UNAVAILABLE')
    expect(error.cause).toBeInstanceOf(SpiffeError)
  })

  it('keeps the reason of a refusal as its cause', () => {
    const source = createX509KeySource({ [DOMAIN]: bundle })
    const error = caught(() => source.find(query([leafOf(signerOf('rogue'))]))) as KestError
    expect(error.cause).toMatchObject({ code: 'ERR_SPIFFE_CHAIN' })
  })

  it.each([
    ['a bundle that is none', { [DOMAIN]: {} }],
    ['a bundle that is not JSON', { [DOMAIN]: '{' }],
    ['a name that is no trust domain', { 'Example.org': bundle }],
    ["another domain's bundle", { 'partner.test': bundle }],
    ['a list', [bundle]],
    ['nothing', null],
  ])('refuses %s when it is made', (_what, bundles) => {
    expect(() => createX509KeySource(bundles as never)).toThrow(KestConfigError)
  })

  it.each([0, -1, 1.5, Number.NaN, '2'])('refuses a cache of %s', (cacheSize) => {
    expect(() => createX509KeySource({ [DOMAIN]: bundle }, { cacheSize: cacheSize as number })).toThrow(
      KestConfigError,
    )
  })
})

function refusal(run: () => unknown): unknown {
  return (caught(run) as Partial<KestError>).code
}

function caught(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error
  }
}
