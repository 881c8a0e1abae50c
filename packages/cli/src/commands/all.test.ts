import { readdirSync } from 'node:fs'
import { expect, it } from 'vitest'
import { COMMANDS } from './all.js'

it('lists every command, under the name that it has itself', async () => {
  const loaded = await Promise.all(COMMANDS.map(({ load }) => load()))
  expect(loaded.map(({ name }) => name)).toEqual(COMMANDS.map(({ name }) => name))
  const files = readdirSync(import.meta.dirname).filter((file) => !/^all\.|\.test\.ts$/.test(file))
  expect(files.sort()).toEqual(COMMANDS.map(({ name }) => `${name}.ts`).sort())
})
