import { describe, expect, it } from 'vitest'
import { columnsOf, padColumns } from './columns.js'

describe('columns', () => {
  it.each([
    ['', 0],
    ['GET /orders/:id', 15],
    ['naïve…', 6],
    ['e\u0301a\u0308', 2],
    ['漢字', 4],
    ['ひらカタ', 8],
    ['한국', 4],
    ['ｱｲ', 2],
    ['ＡＢ', 4],
    ['🦊', 2],
    ['אב', 2],
  ])('of %j are %i', (text, columns) => {
    expect(columnsOf(text)).toBe(columns)
    expect(columnsOf(padColumns(text, 20))).toBe(20)
  })

  it('are no fewer than a text takes', () => {
    expect(padColumns('漢字', 3)).toBe('漢字')
  })
})
