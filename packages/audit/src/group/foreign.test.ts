import { createKeySource } from '@kest/core'
import { MockIdentityProvider } from '@kest/core/testing'
import { describe, expect, it } from 'vitest'
import type { EntryShare } from '../judge/judge-lineages.js'
import { draftLineage } from '../judge/lineage-draft.js'
import { type JudgeRules, resolveJudgeOptions } from '../judge/options.js'
import { type MadeEntry, makeEntry } from '../testing/make-entry.js'
import { findForeign, Named } from './foreign.js'

const TRACE = 'a'.repeat(32)
const identity = new MockIdentityProvider('foreign')
const trust = createKeySource({ [identity.getWorkloadId()]: [identity.getPublicJwk()] })
const entry = (...parents: MadeEntry[]): MadeEntry => makeEntry(identity.current(), parents)

function rulesWith(traceBytes: number): JudgeRules {
  return resolveJudgeOptions({ trust }, traceBytes)
}

async function namedBy(claimed: Iterable<string>, rules: JudgeRules): Promise<[Named, unknown]> {
  const named = new Named()
  const draft = { ...draftLineage(TRACE, [], [], rules), claimed: new Set(claimed) }
  return [named, await named.add('any', TRACE, draft, rules)]
}

const sharesOf = (...made: MadeEntry[]) =>
  async function* (): AsyncGenerator<EntryShare> {
    yield { signatures: () => made.map(({ jws }) => jws) }
  }

describe('entries of other traces that are named', () => {
  it('K-LIMIT are not looked for beyond so many, and known to be those', async () => {
    const hashes = Array.from({ length: 262_145 }, (_, n) => n.toString(16).padStart(64, '0'))
    const rules = rulesWith(1_000_000)
    const [none, unsought] = await namedBy(hashes, rules)
    expect([none.more, none.links.size, none.claimed.size]).toEqual([true, 0, 0])
    expect(unsought).toEqual(new Set(hashes))
    const [all, sought] = await namedBy(hashes.slice(1), rules)
    expect([all.more, all.links.size, all.claimed.size, sought]).toEqual([false, 1, 262_144, true])
  })

  it('K-LIMIT are not held beyond so many bytes, and known to be those: what is there, what it builds on, and what was only claimed', async () => {
    const first = entry()
    const second = entry(first)
    const third = entry(second)
    const rules = rulesWith(third.jws.length + second.jws.length + 1)
    const [named] = await namedBy(['b'.repeat(64)], rules)
    named.wanted.add(third.hash)
    const found = await findForeign(named, sharesOf(first, second, third), rules)
    expect([...found.entries.keys()]).toEqual([third.hash, second.hash])
    expect(found.unsought).toEqual(new Set([first.hash, 'b'.repeat(64)]))
  })

  it('that are nowhere were looked for, though others are not', async () => {
    const nowhere = entry()
    const [second, first] = [entry(nowhere), entry()]
    const rules = rulesWith(1_000_000)
    const [named] = await namedBy([first.hash, 'c'.repeat(64)], rules)
    named.wanted.add(second.hash)
    const found = await findForeign(named, sharesOf(first, second), rules)
    expect([...found.entries.keys(), ...found.tips]).toEqual([second.hash, first.hash])
    expect(found.unsought).toEqual(new Set())
  })
})
