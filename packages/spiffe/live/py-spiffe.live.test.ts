import { fileURLToPath } from 'node:url'
import { RecordingLogger } from '@kest/core/testing'
import { createDevAuthority, type KeyType } from '@kest/spiffe/dev'
import { expect, inject, it } from 'vitest'
import { run } from './support/program.js'
import { use } from './support/resources.js'

const FETCH = fileURLToPath(new URL('./python/fetch.py', import.meta.url))
const KEY_TYPES: readonly KeyType[] = ['ec-p256', 'ec-p384', 'rsa-2048']

interface Fetched {
  readonly x509Svids: readonly { readonly id: string; readonly chain: readonly string[] }[]
  readonly x509Bundles: unknown
  readonly jwtSvid: unknown
  readonly jwtBundles: unknown
}

it.each(KEY_TYPES.flatMap((keyType) => [0, 1, 3].map((intermediates) => [keyType, intermediates] as const)))(
  'py-spiffe fetches and verifies what the development authority issues: %s, %d intermediates',
  async (keyType, intermediates) => {
    const logger = new RecordingLogger()
    const workloads = { a: { id: ['spiffe://example.org/a', 'spiffe://example.org/admin/a'] } }
    const authority = use(
      await createDevAuthority({ keyType, intermediates, trustDomain: 'example.org', workloads, logger }),
    )
    const other = use(await createDevAuthority({ trustDomain: 'partner.test', workloads: {}, logger }))
    authority.federateWith(other)

    const fetched = await run<Fetched>(inject('python'), [FETCH, authority.sockets['a'] ?? '', 'reports'])

    expect(fetched.x509Svids.map(({ id }) => id)).toEqual([
      'spiffe://example.org/a',
      'spiffe://example.org/admin/a',
    ])
    for (const { chain } of fetched.x509Svids) expect(chain).toHaveLength(1 + intermediates)
    const [root, jwtKey] = authority.bundle().keys
    const [otherRoot, otherJwtKey] = other.bundle().keys
    expect(fetched.x509Bundles).toEqual({ 'example.org': root?.['x5c'], 'partner.test': otherRoot?.['x5c'] })
    expect(fetched.jwtSvid).toEqual({ id: 'spiffe://example.org/a', audience: ['reports'] })
    expect(fetched.jwtBundles).toEqual({
      'example.org': [jwtKey?.['kid']],
      'partner.test': [otherJwtKey?.['kid']],
    })
  },
)
