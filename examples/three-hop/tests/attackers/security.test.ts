import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { HOP_ATTACKS } from './hop/index.js'
import { tables } from './table.js'

const SECURITY = fileURLToPath(new URL('../../../../SECURITY.md', import.meta.url))
const [BEGIN, END] = ['<!-- attackers: written by -u of their tests -->\n', '\n<!-- /attackers -->']

it('K-DECLARED SECURITY.md claims of attacks what the tests show, no more and no less', async () => {
  const text = readFileSync(SECURITY, 'utf8')
  const [before, rest = ''] = text.split(BEGIN)
  const [, after] = rest.split(END)
  expect(after).toBeDefined()
  await expect(`${before}${BEGIN}\n${tables()}\n${END}${after}`).toMatchFileSnapshot(SECURITY)
})

it('the table has no attack twice', () => {
  const attacks = HOP_ATTACKS.flatMap(({ attacks }) => attacks.map(({ attack }) => attack))
  expect(new Set(attacks).size).toBe(attacks.length)
})
