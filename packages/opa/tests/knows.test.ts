import { OPAPolicyEngine } from '@kest/opa'
import { expect, it, onTestFinished } from 'vitest'
import { json, scriptedOpa } from './support/scripted-opa.js'

/** As OPA 1.22 answers, where `orders.read` has a rule, `orders.write` one with a default, and nothing else is there. */
const COMPILED: Readonly<Record<string, object>> = {
  'data["orders"]["read"]': { result: { queries: [[{ index: 0, terms: [] }]] } },
  'data["orders"]["raed"]': { result: {} },
}

function engineAt(url: string): OPAPolicyEngine {
  const engine = new OPAPolicyEngine({ url, timeoutMs: 60_000 })
  onTestFinished(() => engine.close())
  return engine
}

it('knows a policy that has a value, or could have one; a name that is misspelled it does not', async () => {
  const opa = await scriptedOpa((response, { path, body }) => {
    if (path === '/v1/data/orders/write') json(response, { result: false })
    else if (path.startsWith('/v1/data/')) json(response, {})
    else json(response, COMPILED[(body as { query: string }).query] ?? {})
  })
  const engine = engineAt(opa.url)
  expect(await engine.knows('orders/write')).toBe(true)
  expect(opa.asked).toHaveLength(1)
  expect(await engine.knows('orders/read')).toBe(true)
  expect(await engine.knows('orders/raed')).toBe(false)
  expect(opa.asked.at(-1)).toMatchObject({
    path: '/v1/compile',
    body: { query: 'data["orders"]["raed"]', unknowns: ['input'] },
  })
})

it('cannot tell where it may not ask', async () => {
  const opa = await scriptedOpa((response, { path }) =>
    json(response, {}, path === '/v1/compile' ? 401 : 200),
  )
  expect(await engineAt(opa.url).knows('orders/read')).toBe(null)
})

it.each([
  [500, '{}', 'ERR_KEST_ENGINE'],
  [200, '[]', 'ERR_KEST_ENGINE_ANSWER'],
])('says what it cannot read: %i %s', async (status, text, code) => {
  const opa = await scriptedOpa((response) => void response.writeHead(status).end(text))
  await expect(engineAt(opa.url).knows('orders/read')).rejects.toMatchObject({ code })
})

it('says that nobody answers', async () => {
  const opa = await scriptedOpa((response) => void response.destroy())
  await expect(engineAt(opa.url).knows('orders/read')).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE' })
})
