import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { installConsumer } from './support/consumer.js'
import { pack, packagesIn } from './support/packed.js'
import { run } from './support/run.js'

const work = await mkdtemp(join(tmpdir(), 'kest-packaging-'))
const consumer = join(work, 'consumer')
const packages = packagesIn(work)
const specifiers = packages.flatMap((one) => one.specifiers)
const commands = packages.flatMap(({ manifest }) => Object.keys(manifest.bin ?? {}))

afterAll(() => rm(work, { recursive: true, force: true }))

describe('a project that installs the packages', () => {
  beforeAll(async () => {
    await pack(packages, work)
    await installConsumer(consumer, packages)
  })

  it.each(specifiers)('imports %s', async (specifier) => {
    expect(await namesOf('--input-type=module', `const it = await import('${specifier}')`)).not.toEqual([])
  })

  it.each(specifiers)('requires %s from CommonJS', async (specifier) => {
    expect(await namesOf('--input-type=commonjs', `const it = require('${specifier}')`)).not.toEqual([])
  })

  it.each(commands)('runs %s', async (command) => {
    expect(await run(join(consumer, 'node_modules/.bin', command), ['--help'], consumer)).toContain(command)
  })
})

/** The names that the module called `it` exports. */
async function namesOf(inputType: string, statement: string): Promise<string[]> {
  const script = `${statement}; console.log(JSON.stringify(Object.keys(it)))`
  return JSON.parse(await run(process.execPath, ['--no-warnings', inputType, '-e', script], consumer))
}
