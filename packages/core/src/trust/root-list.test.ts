import { describe, expect, it } from 'vitest'
import { KestConfigError } from '../errors.js'
import { bothRootLists, createRootList, type RootRule, toRootList } from './root-list.js'

const edge = 'spiffe://example.org/edge'
const jobs = 'spiffe://example.org/jobs/*'

describe('K-ROOTS a list of roots', () => {
  it('K-ROOTS grants what the rule of a principal says, and nothing to others', () => {
    const list = createRootList([{ workload: edge, ceiling: 40, identity: true }])
    expect(list.grantOf(edge)).toEqual({ ceiling: 40, identity: true })
    for (const other of ['', `${edge}/x`, `${edge} `, 'spiffe://example.org/EDGE', '__proto__'])
      expect(list.grantOf(other)).toBeUndefined()
    expect(createRootList([]).grantOf(edge)).toBeUndefined()
  })

  it('K-ROOTS takes "/*" for all paths below, and for no other', () => {
    const list = createRootList([{ workload: jobs, ceiling: 60 }])
    for (const below of ['a', 'a/b', '-']) {
      const principal = `spiffe://example.org/jobs/${below}`
      expect(list.grantOf(principal)).toEqual({ ceiling: 60, identity: false })
    }
    for (const other of ['jobs', 'jobs/', 'jobsx', 'job/a'])
      expect(list.grantOf(`spiffe://example.org/${other}`)).toBeUndefined()
    const domain = createRootList([{ workload: 'spiffe://example.org/*', ceiling: 60 }])
    expect(domain.grantOf(edge)?.ceiling).toBe(60)
    expect(domain.grantOf('spiffe://example.org.evil/edge')).toBeUndefined()
  })

  it('K-ROOTS grants the least of all rules that match', () => {
    const rules: RootRule[] = [
      { workload: edge, ceiling: 80, identity: true },
      { workload: 'spiffe://example.org/*', ceiling: 60, identity: true },
      { workload: edge, ceiling: 90, identity: true },
    ]
    expect(createRootList(rules).grantOf(edge)).toEqual({ ceiling: 60, identity: true })
    const denying = createRootList([...rules, { workload: 'spiffe://example.org/*', ceiling: 100 }])
    expect(denying.grantOf(edge)).toEqual({ ceiling: 60, identity: false })
  })

  it('K-ROOTS grants what two lists both grant', () => {
    const one = createRootList([{ workload: edge, ceiling: 80, identity: true }])
    const other = createRootList([{ workload: 'spiffe://example.org/*', ceiling: 40 }])
    const both = bothRootLists(one, other)
    expect(both.grantOf(edge)).toEqual({ ceiling: 40, identity: false })
    expect(both.grantOf('spiffe://example.org/other')).toBeUndefined()
    expect(toRootList(both)).toBe(both)
  })

  it.each<[string, unknown, RegExp]>([
    ['no list', {}, /^roots: expected a list/],
    ['no object', ['x'], /^roots\[0\]: expected an object/],
    ['an unknown key', [{ workload: edge, ceiling: 1, trust: 2 }], /^roots\[0\]: unknown key "trust"/],
    ['no workload', [{ ceiling: 1 }], /^roots\[0\]\.workload: expected a non-empty/],
    ['no ceiling', [{ workload: edge }], /^roots\[0\]\.ceiling: expected an integer/],
    ['an identity of text', [{ workload: edge, ceiling: 1, identity: 'true' }], /\.identity: expected true/],
    ['a star in a name', [{ workload: 'spiffe://a.test/*x', ceiling: 1 }], /"\*" stands only at the end/],
    ['a star after an ARN', [{ workload: 'arn:x/*', ceiling: 1 }], /only a SPIFFE ID may end/],
    ['no SPIFFE ID', [{ workload: 'spiffe://A.test/x', ceiling: 1 }], /is none/],
  ])('refuses %s', (_, rules, message) => {
    const made = () => createRootList(rules as RootRule[])
    expect(made).toThrow(KestConfigError)
    expect(made).toThrow(message)
  })
})
