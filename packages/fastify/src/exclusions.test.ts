import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Exclusions } from './exclusions.js'

describe('Exclusions', () => {
  const segment = fc.stringMatching(/^[a-z:]{1,4}$/)
  const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => `/${parts.join('/')}`)

  it('covers nothing when nothing is excluded', () => {
    fc.assert(fc.property(path, (url) => !new Exclusions([]).cover(url)))
  })

  it('covers a pattern itself and nothing else', () => {
    fc.assert(
      fc.property(path, path, (pattern, url) => new Exclusions([pattern]).cover(url) === (pattern === url)),
    )
  })

  it('covers all that lies below a path, and neither the path nor what begins alike', () => {
    fc.assert(
      fc.property(path, path, (base, rest) => {
        const exclusions = new Exclusions([`${base}/*`])
        return (
          exclusions.cover(base + rest) && !exclusions.cover(base) && !exclusions.cover(`${base}x${rest}`)
        )
      }),
    )
  })

  it('knows which patterns met no route', () => {
    const exclusions = new Exclusions(['/a', '/b/*', '/c', '/d/*'])
    for (const url of ['/a', '/b/x', '/d']) exclusions.cover(url)
    expect(exclusions.unmet()).toEqual(['/c', '/d/*'])
  })

  it('counts overlapping patterns as met, each of them', () => {
    const exclusions = new Exclusions(['/a/b', '/a/*', '/a/b/*'])
    for (const url of ['/a/b', '/a/b/c']) exclusions.cover(url)
    expect(exclusions.unmet()).toEqual([])
  })
})
