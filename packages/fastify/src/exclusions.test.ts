import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Exclusions } from './exclusions.js'

describe('Exclusions', () => {
  const segment = fc.stringMatching(/^[a-z:]{1,4}$/)
  const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => `/${parts.join('/')}`)

  const GET = ['GET']

  it('covers nothing when nothing is excluded', () => {
    fc.assert(fc.property(path, (url) => !new Exclusions([]).cover(GET, url)))
  })

  it('covers a pattern itself and nothing else, wildcards included', () => {
    fc.assert(
      fc.property(path, path, fc.constantFrom('', '/*'), (pattern, url, end) => {
        const exclusions = new Exclusions([pattern + end])
        return exclusions.cover(GET, url) === (pattern + end === url) && exclusions.cover(GET, pattern + end)
      }),
    )
  })

  it('covers all that lies below a path, and neither the path nor what begins alike', () => {
    fc.assert(
      fc.property(path, path, (base, rest) => {
        const exclusions = new Exclusions([], [base])
        return (
          exclusions.cover(GET, base + rest) &&
          exclusions.cover(GET, `${base}/*`) &&
          !exclusions.cover(GET, base) &&
          !exclusions.cover(GET, `${base}x${rest}`)
        )
      }),
    )
  })

  it('covers one method of a pattern, and a route of several when all of them are', () => {
    const exclusions = new Exclusions(['OPTIONS *', 'GET /x', 'HEAD /x'])
    expect(exclusions.cover(['OPTIONS'], '*')).toBe(true)
    expect(exclusions.cover(['GET'], '*')).toBe(false)
    expect(exclusions.cover(['GET', 'POST'], '/x')).toBe(false)
    expect(exclusions.unmet()).toEqual(['GET /x', 'HEAD /x'])
    expect(exclusions.cover(['GET', 'HEAD'], '/x')).toBe(true)
    expect(exclusions.cover([], '/x')).toBe(false)
  })

  it('knows which patterns met no route', () => {
    const exclusions = new Exclusions(['/a', '/c'], ['/b', '/d'])
    for (const url of ['/a', '/b/x', '/d']) exclusions.cover(GET, url)
    expect(exclusions.unmet()).toEqual(['/c', '/d/'])
  })

  it('counts overlapping patterns as met, each of them', () => {
    const exclusions = new Exclusions(['/a/b'], ['/a', '/a/b'])
    for (const url of ['/a/b', '/a/b/c']) exclusions.cover(GET, url)
    expect(exclusions.unmet()).toEqual([])
  })
})
