import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const MAIN = join(import.meta.dirname, '../dist/main.js')
const out = await mkdtemp(join(tmpdir(), 'kest-agent-'))
let shown = ''
beforeAll(async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, out])
  shown = stdout
})
afterAll(() => rm(out, { recursive: true, force: true }))

describe('the agent', () => {
  it('calls what the task allows, over stdio and HTTP, and is denied what it does not', () => {
    expect(shown).toContain('search({"words":"otters"}) → book-1: everything about otters')
    expect(shown).toContain('place({"item":"book-1"}) → ordered book-1, to be delivered')
    expect(shown).toContain('refund({"item":"book-1"}) → refused: ERR_KEST_DENIED')
    expect(shown).toContain('the worker has delivered book-1 to alice')
    expect(shown).not.toContain('refunded')
  })

  it('leaves one lineage, over all that it led to', () => {
    const nodes = [...shown.matchAll(/^ {2}(n\d+)\["(\S+?)<br\/>(.+?)<br\/>(.*?)[",<]/gm)]
    const names = new Map(nodes.map(([, node, service, operation]) => [node, `${service} ${operation}`]))
    const edges = [...shown.matchAll(/^ {2}(n\d+) --> (n\d+)$/gm)].map(([, from, to]) => [
      names.get(from as string),
      names.get(to as string),
    ])
    const placed = 'orders mcp:tools/call:place'
    const found = 'agent mcp:tools/call:search#35;result'
    expect(edges.sort()).toEqual(
      [
        ['agent agent.run', 'catalogue mcp:tools/call:search'],
        ['agent agent.run', found],
        [found, placed],
        [found, 'agent mcp:tools/call:place#35;result'],
        [placed, 'stock POST /items/:item'],
        [placed, 'worker receive queue://example.org/deliveries'],
        ['agent mcp:tools/call:place#35;result', 'spiffe://example.org/orders mcp:tools/call:refund'],
      ].sort(),
    )
  })

  it('is audited by the bundle alone, with the denial', () => {
    expect(shown).toMatch(/^trace [0-9a-f]{32}: verified, in example\.org$/m)
    expect(shown).toContain('7 entries and 1 denials, in 8 spans')
    expect(shown).toMatch(
      /refused, as is signed: mcp:tools\/call:refund, by spiffe:\/\/example\.org\/orders, ERR_KEST_DENIED/,
    )
  })

  it('tells whoever operates the tool why it was denied', async () => {
    const log = await readFile(join(out, 'orders.log'), 'utf8')
    expect(log).toContain('task buy-books: mcp:tools/call:refund')
  })
})
