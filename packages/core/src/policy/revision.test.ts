import { describe, expect, it } from 'vitest'
import { canonicalize } from '../entry/canonicalize.js'
import { AskedRevisions, parseRevision, revisionsOf } from './revision.js'

const DIGEST = `rego-wasm:sha256:${'a1'.repeat(32)}`

describe('a revision', () => {
  it('K-REVISION is a digest or a name, and no name looks like a digest', () => {
    expect(parseRevision(DIGEST)).toEqual({
      engine: 'rego-wasm',
      scheme: 'sha256',
      value: 'a1'.repeat(32),
      isDigest: true,
    })
    for (const name of ['opa:bundle:main@v12', `opa:bundle:sha256:${'a1'.repeat(32)}@`, 'function:name:x']) {
      expect(parseRevision(name)).toMatchObject({ isDigest: false })
    }
  })

  it.each([
    '',
    'opa',
    'opa:bundle',
    'opa:bundle:',
    ':bundle:x',
    'OPA:bundle:x',
    'opa:sha256:abc',
    `opa:sha256:${'A1'.repeat(32)}`,
    'opa:bundle:a\nb',
    'opa:bundle:\u202ea',
    'opa:bundle:\ud800',
    `opa:bundle:${'x'.repeat(256)}`,
  ])('is not %j', (text) => {
    expect(parseRevision(text)).toBeUndefined()
    expect(revisionsOf(text)).toBeUndefined()
  })

  it('K-REVISION is said with others where several texts decide, or not at all', () => {
    expect(revisionsOf(['opa:bundle:b@1', 'opa:bundle:a@1', 'opa:bundle:b@1'])).toEqual([
      'opa:bundle:a@1',
      'opa:bundle:b@1',
    ])
    for (const said of [[], ['opa:bundle:a@1', 'no'], [1], {}, null, undefined, 7, Array(9).fill(DIGEST)])
      expect(revisionsOf(said)).toBeUndefined()
  })
})

describe('the label', () => {
  it('K-REVISION is the JCS of tier → sorted list, without tiers of which not all is known', () => {
    const asked = new AskedRevisions()
    expect(asked.text()).toBeUndefined()
    asked.add('platform', 'opa:bundle:b@2')
    asked.add('platform', ['opa:bundle:"a"@1', 'opa:bundle:b@2'])
    asked.add('application', DIGEST)
    asked.add('enterprise', DIGEST)
    asked.add('enterprise', undefined)
    asked.add('enterprise', DIGEST)
    asked.add('function', 'no revision')
    const expected = { application: [DIGEST], platform: ['opa:bundle:"a"@1', 'opa:bundle:b@2'] }
    expect(asked.text()).toBe(canonicalize(expected))
  })
})
