import { describe, expect, it } from 'vitest'
import { KestConfigError } from '../errors.js'
import { DEFAULT_LIMITS } from '../limits.js'
import { MemoryCache } from './memory-cache.js'
import { type PropagationOptions, resolvePropagation } from './options.js'

describe('resolvePropagation', () => {
  it('fills in the defaults', () => {
    expect(resolvePropagation()).toMatchObject({
      maxMemberLength: 4096,
      maxHeaderLength: 8192,
      maxInboundLength: 16_384,
      encoding: 'auto',
      namespace: 'default',
      cache: null,
      claimTtlMs: 3_600_000,
      cacheTimeoutMs: 1000,
      limits: DEFAULT_LIMITS,
    })
  })

  it('takes its own result', () => {
    const resolved = resolvePropagation({
      cache: new MemoryCache(),
      namespace: 'a.b_c-1',
      limits: { entries: 3 },
    })
    expect(resolvePropagation(resolved)).toEqual(resolved)
  })

  it.each([
    { maxMemberLength: 0 },
    { maxHeaderLength: 1.5 },
    { maxInboundLength: -1 },
    { claimTtlMs: Number.POSITIVE_INFINITY },
    { claimTtlMs: '60' },
    { cacheTimeoutMs: Number.NaN },
    { cacheTimeoutMs: 2 ** 31 },
    { encoding: 'raw' },
    { namespace: '' },
    { namespace: 'a:b' },
    { namespace: 'a b' },
    { namespace: '-a' },
    { namespace: 'ä' },
    { namespace: 'a\n' },
    { namespace: 'a'.repeat(65) },
    { namespace: 7 },
    { cache: {} },
    { cache: { get: () => null } },
    { cache: 'redis://cache' },
    { limits: { entries: 0 } },
    { maxMemberlength: 4096 },
  ])('refuses %j', (options) => {
    expect(() => resolvePropagation(options as unknown as PropagationOptions)).toThrow(KestConfigError)
  })
})
