import { readFile } from 'node:fs/promises'
import { FakeClock } from '@kest/core/testing'
import { expect, it, onTestFinished } from 'vitest'
import { policyLibrary, RegoWasmEngine, type RegoWasmOptions } from '../src/index.js'
import { requestOf } from './support/context.js'
import { LIBRARY_CASES, PARAMETERS } from './support/library-cases.js'

async function library(options: RegoWasmOptions = {}): Promise<RegoWasmEngine> {
  const engine = await RegoWasmEngine.load(policyLibrary(), { data: PARAMETERS, reloadMs: 0, ...options })
  onTestFinished(() => engine.close())
  return engine
}

function allows(engine: RegoWasmEngine, policy: string, part: Parameters<typeof requestOf>[1]): boolean {
  return engine.evaluate(requestOf(`kest/${policy}`, part)) === true
}

it.each(LIBRARY_CASES)('%s of %j: %s', async (policy, context, allow) => {
  expect(allows(await library(), policy, context)).toBe(allow)
})

it('has a policy of each name, and denies without parameters, with a reason', async () => {
  const engine = await library({ data: {} })
  const names = new Set(LIBRARY_CASES.map(([policy]) => policy).filter((name) => name !== 'no_such_policy'))
  expect(engine.entrypoints).toEqual([...names].map((name) => `kest/${name}`).sort())
  for (const name of engine.entrypoints) {
    expect(engine.evaluate(requestOf(name))).toEqual({
      allow: false,
      reason: expect.stringMatching(new RegExp(`^${name}: .`)),
    })
  }
})

it('calls no replace, which never returns for an empty text to replace', async () => {
  const names = (await readFile(policyLibrary())).toString('latin1')
  expect(names).toContain('opa_strings_concat')
  expect(names).not.toContain('opa_strings_replace')
})

it.each([
  ['2030-01-07T08:00:00Z', true],
  ['2030-01-07T07:59:59Z', false],
  ['2030-01-07T16:00:00Z', false],
  ['2030-01-05T12:00:00Z', false],
])('business hours in Berlin at %s: %s', async (time, allow) => {
  const business_hours = { zone: 'Europe/Berlin', from: 9, to: 17 }
  const clock = new FakeClock(Date.parse(time))
  const engine = await library({ clock, data: { kest: { parameters: { business_hours } } } })
  expect(allows(engine, 'business_hours', {})).toBe(allow)
})
