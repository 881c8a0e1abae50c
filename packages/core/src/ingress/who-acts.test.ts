import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { IdentityContext } from '../passport/verified.js'
import { type IdentitySources, whoActs } from './who-acts.js'

const BY = 'spiffe://example.org/hop1'
const nobody: IdentityContext = { user: null, agent: null, task: null }

function sources(given: Partial<IdentitySources>): IdentitySources {
  return { lineage: null, token: null, baggage: {}, switchIdentity: false, ...given }
}

const lineage = (context: Partial<IdentityContext>) => ({ context: { ...nobody, ...context }, by: BY })
const token = (context: Partial<IdentityContext>) => ({ ...nobody, ...context })

describe('whoActs', () => {
  it('K-IDENT takes the identity of the lineage, and who stated it', () => {
    expect(whoActs(sources({ lineage: lineage({ user: 'alice' }) }))).toEqual(lineage({ user: 'alice' }))
    expect(whoActs(sources({}))).toBeNull()
  })

  it('F-IC-05 takes the identity of the token, for which this workload vouches', () => {
    expect(whoActs(sources({ token: token({ user: 'alice' }) }))).toEqual({
      context: token({ user: 'alice' }),
      by: null,
    })
  })

  it('K-IDENT has the parts of both where they agree', () => {
    const both = sources({
      lineage: lineage({ user: 'alice', agent: 'web' }),
      token: token({ user: 'alice', task: 'orders:read' }),
    })
    expect(whoActs(both)).toEqual({ context: { user: 'alice', agent: 'web', task: 'orders:read' }, by: null })
  })

  it('K-IDENT lets a token that states nothing change nothing', () => {
    const given = sources({ lineage: lineage({ user: 'alice' }), token: nobody })
    expect(whoActs(given)).toEqual(lineage({ user: 'alice' }))
  })

  it.each(['user', 'agent', 'task'] as const)('K-IDENT refuses a token with another %s', (part) => {
    const given = sources({ lineage: lineage({ [part]: 'a' }), token: token({ [part]: 'b' }) })
    expect(() => whoActs(given)).toThrow(
      expect.objectContaining({ code: 'ERR_KEST_IDENTITY_CONFLICT', statusCode: 403 }),
    )
  })

  it('K-IDENT compares text exactly', () => {
    for (const other of ['Alice', 'alice ', 'alic\u0435', '']) {
      const given = sources({ lineage: lineage({ user: 'alice' }), token: token({ user: other }) })
      expect(() => whoActs(given)).toThrow(/another user/)
    }
  })

  it('K-IDENT takes the token alone where the route may switch identity, mixing nothing', () => {
    const given = sources({
      lineage: lineage({ user: 'alice', agent: 'web' }),
      token: token({ user: 'bob' }),
      switchIdentity: true,
    })
    expect(whoActs(given)).toEqual({ context: token({ user: 'bob' }), by: null })
  })

  it('K-IDENT refuses baggage that says something else than the lineage', () => {
    for (const switchIdentity of [false, true]) {
      const given = sources({
        lineage: lineage({ user: 'alice' }),
        baggage: { user: 'mallory' },
        switchIdentity,
      })
      expect(() => whoActs(given)).toThrow(expect.objectContaining({ code: 'ERR_KEST_IDENTITY_CONFLICT' }))
      // Not even a token for the one in baggage makes the lineage say it.
      const token = { ...nobody, user: 'mallory' }
      expect(() => whoActs({ ...given, token })).toThrow(/baggage names a user/)
    }
  })

  it('K-IDENT refuses baggage that says what nobody signed', () => {
    expect(() => whoActs(sources({ baggage: { task: 'admin' } }))).toThrow(/baggage names a task/)
    const given = sources({ lineage: lineage({ user: 'alice' }), baggage: { user: 'alice', task: 'admin' } })
    expect(() => whoActs(given)).toThrow(/baggage names a task/)
  })

  it('F-IC-05 lets a token override baggage where the lineage says nothing', () => {
    const given = sources({ token: token({ user: 'alice' }), baggage: { user: 'someone' } })
    expect(whoActs(given)?.context.user).toBe('alice')
  })

  it('takes empty baggage for not stated', () => {
    expect(whoActs(sources({ baggage: { user: '', agent: '', task: '' } }))).toBeNull()
  })

  const part = fc.constantFrom(null, 'a', 'b')
  const context = fc.record({ user: part, agent: part, task: part })
  const claims = fc.record(
    { user: fc.constantFrom('', 'a', 'b', 'c'), agent: fc.constantFrom('', 'a', 'c') },
    { requiredKeys: [] },
  )

  it('K-IDENT never ends with a part that neither lineage nor token states', () => {
    fc.assert(
      fc.property(
        fc.option(context),
        fc.option(context),
        claims,
        fc.boolean(),
        (signed, claimed, baggage, switchIdentity) => {
          let result: ReturnType<typeof whoActs>
          try {
            result = whoActs({
              lineage: signed && { context: signed, by: BY },
              token: claimed,
              baggage,
              switchIdentity,
            })
          } catch (error) {
            expect(error).toMatchObject({ code: 'ERR_KEST_IDENTITY_CONFLICT' })
            return
          }
          for (const name of ['user', 'agent', 'task'] as const) {
            const stated = [signed?.[name] ?? null, claimed?.[name] ?? null]
            expect(stated).toContain(result?.context[name] ?? null)
            if (claimed !== null && claimed[name] !== null) expect(result?.context[name]).toBe(claimed[name])
          }
          if (!switchIdentity && signed !== null) {
            for (const name of ['user', 'agent', 'task'] as const) {
              if (signed[name] !== null) expect(result?.context[name]).toBe(signed[name])
            }
          }
        },
      ),
    )
  })
})
