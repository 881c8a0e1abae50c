import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { KestEntry } from '../entry/entry.js'
import { Lineage } from './lineage.js'
import type { VerifiedEntry } from './verified.js'

function entry(hash: string, parents: readonly VerifiedEntry[], proven = true): VerifiedEntry {
  const parent_ids = parents.length === 0 ? ['0'] : parents.map((parent) => parent.hash)
  return {
    jws: `jws-${hash}`,
    hash,
    entry: { parent_ids, operation: `op-${hash}`, classification: 'system' } as unknown as KestEntry,
    principal: `principal-${hash}`,
    proven,
    alg: 'EdDSA',
    keySource: 'self',
    trustScore: 100,
    taints: [],
    identity: null,
    identityBy: null,
    claimedIdentity: null,
    plain: { trustScore: 100, taints: [] },
  }
}

function extend(lineage: Lineage, hash: string): Lineage {
  return lineage.append(entry(hash, lineage.tips))
}

const hashes = (entries: readonly VerifiedEntry[]): string[] => entries.map(({ hash }) => hash)

describe('Lineage', () => {
  it('grows by one tip at a time', () => {
    const lineage = ['a', 'b', 'c'].reduce(extend, Lineage.EMPTY)
    expect(hashes(lineage.entries())).toEqual(['a', 'b', 'c'])
    expect(hashes(lineage.tips)).toEqual(['c'])
  })

  it('keeps an earlier value as it was when two later ones grow from it', () => {
    const base = extend(Lineage.EMPTY, 'a')
    const left = extend(base, 'b')
    const right = extend(base, 'c')
    expect(hashes(base.entries())).toEqual(['a'])
    expect(hashes(left.entries())).toEqual(['a', 'b'])
    expect(hashes(right.entries())).toEqual(['a', 'c'])
  })

  it('never lets a lineage leak into the shared empty one', () => {
    extend(Lineage.EMPTY, 'a')
    expect(Lineage.EMPTY.entries()).toEqual([])
  })

  it('makes the tips of two branches the tips of what joins them', () => {
    const base = extend(Lineage.EMPTY, 'a')
    const joined = base.join(extend(base, 'b'), base).join(extend(base, 'c'), base)
    expect(hashes(joined.entries())).toEqual(['a', 'b', 'c'])
    expect(hashes(joined.tips)).toEqual(['b', 'c'])
  })

  it('joins a branch that gained nothing without a trace', () => {
    const base = extend(Lineage.EMPTY, 'a')
    const grown = extend(base, 'b')
    expect(grown.join(base, base)).toBe(grown)
  })

  it('holds for any tree of branches: parents first, nothing twice, tips are what nobody names', () => {
    // A program: each step either appends to a branch, forks one off, or joins it back.
    type Tree = readonly (Tree | null)[]
    const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
      tree: fc.array(fc.option(tie('tree'), { depthSize: 'small' }), { maxLength: 5 }),
    }))
    fc.assert(
      fc.property(tree, (program) => {
        let next = 0
        const run = (steps: Tree, start: Lineage): Lineage => {
          let lineage = extend(start, `e${next++}`)
          const branches: [Lineage, Lineage][] = []
          for (const step of steps) {
            if (step === null) {
              for (const [base, branch] of branches.splice(0)) lineage = lineage.join(branch, base)
            } else {
              branches.push([lineage, run(step, lineage)])
            }
          }
          for (const [base, branch] of branches) lineage = lineage.join(branch, base)
          return lineage
        }
        const lineage = run(program, Lineage.EMPTY)
        const seen = new Set<string>()
        const named = new Set<string>()
        for (const { hash, entry: payload } of lineage.entries()) {
          expect(seen.has(hash)).toBe(false)
          for (const parent of payload.parent_ids) {
            if (parent !== '0') expect(seen.has(parent)).toBe(true)
            named.add(parent)
          }
          seen.add(hash)
        }
        expect(seen.size).toBe(next)
        expect(new Set(hashes(lineage.tips))).toEqual(new Set([...seen].filter((hash) => !named.has(hash))))
      }),
    )
  })

  it('K-LINEAGE lists for policies only entries whose signature was checked', () => {
    const root = entry('a', [], false)
    const lineage = Lineage.of([root, entry('b', [root])], [])
    expect(lineage.summary()).toEqual({
      depth: 1,
      principals: ['principal-b'],
      operations: ['op-b'],
      classifications: ['system'],
    })
  })
})
