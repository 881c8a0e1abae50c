import { describe, expect, it } from 'vitest'
import type { Used } from '../cedar-value.js'
import { loadCedar } from './cedar.js'
import { parsePolicies } from './policy-set.js'
import { usedParts } from './used-parts.js'

const cedar = await loadCedar()
const partsOf = (text: string) => usedParts(parsePolicies(cedar, [{ name: 'test', text }]).parsed)
const when = (condition: string) => `permit(principal, action, resource) when { ${condition} };`
const plain = (used: Used): unknown =>
  used === true ? true : Object.fromEntries([...used].map(([name, below]) => [name, plain(below)]))

describe('what policies look at', () => {
  it.each<[string, unknown]>([
    ['true', {}],
    ['context.trust_score >= 40', { trust_score: true }],
    ['context has user && context.user == "alice"', { user: true }],
    ['context["user"] like "a*"', { user: true }],
    ['context.attributes.owner == "alice"', { attributes: { owner: true } }],
    ['context.attributes has owner.name', { attributes: { owner: { name: true } } }],
    ['context.attributes.a.b == 1 || context.attributes.c == 2', { attributes: { a: { b: true }, c: true } }],
    ['context.attributes.a.b == 1 || context.attributes.a == {b: 1}', { attributes: { a: true } }],
    ['context.attributes.a == {b: 1} || context.attributes.a.b == 1', { attributes: { a: true } }],
    ['context.attributes == {a: 1} || context.attributes.b', { attributes: true }],
    ['context.lineage.principals.contains("x")', { lineage: { principals: true } }],
    ['context == {trust_score: 1}', true],
    ['(if principal == resource then context else {user: "a"}).user == "a"', true],
    ['{context: context.task}.context == "t"', { task: true }],
    ['[context.agent].contains("a")', { agent: true }],
    ['ip(context.attributes.ip).isLoopback()', { attributes: { ip: true } }],
    ['!(context.is_root) && -context.trust_score < 0', { is_root: true, trust_score: true }],
    ['principal.owner == context.user', { user: true }],
    ['principal has owner && principal.owner == "context"', {}],
  ])('in %s is %j', (condition, expected) => {
    expect(plain(partsOf(when(condition)).context)).toEqual(expected)
    expect(plain(partsOf(`permit(principal, action, resource) unless { ${condition} };`).context)).toEqual(
      expected,
    )
  })

  it('is gathered over all policies', () => {
    const text = `${when('context.user == "a"')} forbid(principal, action, resource) unless { context.is_root };`
    expect(plain(partsOf(text).context)).toEqual({ user: true, is_root: true })
  })

  it('includes the entities that they name, wherever', () => {
    const text = `permit(principal in Team::"a", action in [Action::"b"], resource == Resource::"c")
      when { Config::"d".open && resource in [Folder::"e"] };`
    expect(
      partsOf(text)
        .entities.map(({ type, id }) => `${type} ${id}`)
        .sort(),
    ).toEqual(['Action b', 'Config d', 'Folder e', 'Resource c', 'Team a'])
  })
})
