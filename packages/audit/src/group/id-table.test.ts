import { describe, expect, it } from 'vitest'
import { IdTable } from './id-table.js'

const ID = '0123456789abcdef0123456789abcdef'

describe('a table of ids', () => {
  it('tells apart those that differ in one digit, wherever it is', () => {
    const table = new IdTable()
    const ids = [ID]
    for (let at = 0; at < ID.length; at++)
      for (const digit of '0123456789abcdef')
        if (digit !== ID[at]) ids.push(ID.slice(0, at) + digit + ID.slice(at + 1))
    for (const [offset, id] of ids.entries()) table.set(id, { offset, mark: -offset })
    expect(table.size).toBe(ids.length)
    expect(ids.map((id) => table.get(id))).toEqual(ids.map((_, offset) => ({ offset, mark: -offset })))
  })

  it.each([
    '',
    ID.slice(1),
    `${ID}0`,
    ID.toUpperCase(),
    `g${ID.slice(1)}`,
    `\u0660${ID.slice(1)}`,
    `\uff10${ID.slice(1)}`,
    `/${ID.slice(1)}`,
    `:${ID.slice(1)}`,
  ])('passes over %j, which is none', (id) => {
    const table = new IdTable()
    table.set(id, { offset: 1, mark: 1 })
    expect([table.size, table.get(id)]).toEqual([0, undefined])
  })
})
