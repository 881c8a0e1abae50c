import { expect, it } from 'vitest'
import { claimedParents } from './peek.js'

const jwsOf = (payload: string): string => `e30.${Buffer.from(payload).toString('base64url')}.AA`

it('finds the parents that a payload names', () => {
  expect(claimedParents(jwsOf('{"labels":{},"parent_ids":["a","b"]}'))).toEqual(['a', 'b'])
  expect(claimedParents(jwsOf('{"labels":{}}'))).toBeUndefined()
  expect(claimedParents(jwsOf('{"parent_ids":["a"],"x":{"parent_ids":["b"]}}'))).toBeUndefined()
})

it('K-LIMIT reads a megabyte of lists that begin and do not end once', () => {
  expect(claimedParents(jwsOf(`{"a":1${',"parent_ids":['.repeat(100_000)}`))).toBeUndefined()
})
