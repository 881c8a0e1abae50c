import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type EntryKey, EntryTable, entryKey } from './entry-table.js'

function keyOf(hash: string): EntryKey {
  return entryKey(hash) as EntryKey
}

describe('a table of entries', () => {
  it('knows where each is that it took, of one that came twice the first, and nothing else', () => {
    const table = new EntryTable(5_000_000_000)
    const hashes = Array.from({ length: 50_000 }, (_, n) => createHash('sha256').update(`${n}`).digest('hex'))
    let taken = 0
    while (table.takes(5_000_000_000 + taken))
      table.add(keyOf(hashes[taken] as string), 5_000_000_000 + taken++)
    expect(taken).toBeLessThan(hashes.length)
    table.add(keyOf(hashes[7] as string), 5_000_000_000 + taken)
    expect(
      hashes.findIndex((hash, n) => table.get(keyOf(hash)) !== (n < taken ? 5_000_000_000 + n : undefined)),
    ).toBe(-1)
    for (const hash of ['', 'x', hashes[0]?.toUpperCase() as string]) expect(entryKey(hash)).toBeNull()
  })
})
