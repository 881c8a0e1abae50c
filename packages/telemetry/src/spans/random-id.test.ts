import { expect, it } from 'vitest'
import { randomId } from './random-id.js'

it.each([8, 16] as const)('makes ids of %i bytes, each another, of more than one batch', (bytes) => {
  const ids = Array.from({ length: 2_000 }, () => randomId(bytes))
  for (const id of ids) expect(id).toMatch(new RegExp(`^(?!0+$)[0-9a-f]{${2 * bytes}}$`))
  expect(new Set(ids).size).toBe(2_000)
})
