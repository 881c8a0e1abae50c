import { once } from 'node:events'
import { type IdentityProvider, KestConfigError } from '@kest/core'
import { MockIdentityProvider } from '@kest/core/testing'
import { describe, expect, it } from 'vitest'
import { kestExpress, kestJwks } from '../src/index.js'
import { createService, SERVICE } from './support/kest.js'
import { MAJORS } from './support/majors.js'
import { serve } from './support/server.js'

const PATH = '/.well-known/kest/jwks.json'

describe.each(MAJORS)('kestJwks on Express $major', ({ express }) => {
  it('K-PRINCIPAL serves the public key of the workload, and nothing private', async () => {
    const { kest } = createService()
    const app = express()
    app.get(PATH, kestJwks({ kest }))
    app.use(kestExpress({ kest }))
    const { url } = await serve(app)

    const answer = await fetch(url + PATH)

    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe('application/jwk-set+json')
    expect(answer.headers.get('cache-control')).toBe('public, max-age=300')
    const { keys } = (await answer.json()) as { keys: object[] }
    expect(keys).toEqual([new MockIdentityProvider(SERVICE).getPublicJwk()])
    expect(Object.keys(keys[0]!)).not.toContain('d')
  })

  it('follows the identity', async () => {
    let name = 'before'
    const identity: IdentityProvider & { getPublicJwk(): unknown } = {
      getWorkloadId: () => SERVICE,
      current: () => new MockIdentityProvider(name).current(),
      getPublicJwk: () => new MockIdentityProvider(name).getPublicJwk(),
    }
    const { kest } = createService({ identity })
    const app = express()
    app.get(PATH, kestJwks({ kest, maxAgeSeconds: 0 }))
    const { url } = await serve(app)
    const kid = async () =>
      ((await (await fetch(url + PATH)).json()) as { keys: { kid: string }[] }).keys[0]?.kid
    const before = await kid()
    name = 'after'
    expect(await kid()).not.toBe(before)
  })
})

describe('kestJwks of an identity that fails', () => {
  it('answers a code alone, and tells the process why', async () => {
    const identity: IdentityProvider & { getPublicJwk(): never } = {
      getWorkloadId: () => SERVICE,
      current: () => new MockIdentityProvider(SERVICE).current(),
      getPublicJwk: () => {
        throw new Error('gone from hsm7.internal')
      },
    }
    const { kest } = createService({ identity })
    const app = MAJORS[0]!.express()
    app.get(PATH, kestJwks({ kest }))
    const { url } = await serve(app)
    const warned = once(process, 'warning')
    const answer = await fetch(url + PATH)
    const text = await answer.text()
    expect([answer.status, JSON.parse(text).code]).toEqual([500, 'ERR_KEST_CONFIG'])
    expect(text).not.toContain('hsm7')
    const [{ detail }] = (await warned) as [{ detail: string }]
    expect(detail).toContain('gone from hsm7.internal')
  })
})

describe('options of kestJwks', () => {
  it.each([-1, 1.5, '300'])('refuses maxAgeSeconds %s', (maxAgeSeconds) => {
    expect(() => kestJwks({ kest: createService().kest, maxAgeSeconds: maxAgeSeconds as number })).toThrow(
      KestConfigError,
    )
  })

  it('refuses an identity that has no key of its own to publish', () => {
    const { current } = new MockIdentityProvider(SERVICE)
    const { kest } = createService({ identity: { getWorkloadId: () => SERVICE, current } })
    expect(() => kestJwks({ kest })).toThrow(KestConfigError)
  })

  it('F-GC-04 refuses to be made where Kest is not configured', () => {
    expect(() => kestJwks()).toThrow(/configure/)
  })
})
