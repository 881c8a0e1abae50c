import { expect, it, onTestFinished } from 'vitest'
import { POLICY_LIBRARY, RegoWasmEngine } from '../src/index.js'
import { requestOf } from './support/context.js'

const data = { kest: { parameters: { minimum_trust: { score: 40 } } } }

it('decides by the library, in process', async () => {
  const engine = await RegoWasmEngine.load(POLICY_LIBRARY, { data })
  onTestFinished(() => engine.close())
  expect(engine.evaluate(requestOf('kest/minimum_trust', { trust_score: 40 }))).toBe(true)
  expect(engine.evaluate(requestOf('kest/minimum_trust', { trust_score: 39 }))).toEqual({
    allow: false,
    reason: 'kest/minimum_trust: trust is 39, at least 40 is required',
  })
  expect(engine.evaluate(requestOf('kest/nothing'))).toMatchObject({ allow: false })
})
