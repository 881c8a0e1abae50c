import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { folder, kest, lines } from './support/kest.js'

interface Vector {
  readonly name: string
  readonly passport: readonly unknown[] | object
  readonly trust: object
  readonly expect: {
    readonly ok: boolean
    readonly index?: number | null
    readonly tips?: readonly string[]
    readonly principals?: readonly string[]
  }
}

const vectors = readVectors('passports')
const interop = readVectors('interop')

describe('kest verify, and the vectors of an independent implementation', async () => {
  const run = await kest(['verify', '--json', ...vectors.map(({ file }) => file)])
  const byFile = new Map(lines(run).map((line) => [line['file'], line]))

  it('says one line for each file', () => {
    expect(byFile.size).toBe(vectors.length)
    expect(vectors.length).toBeGreaterThan(50)
    expect(run.stderr).toBe('')
  })

  it.each(vectors)('F-PA-04 agrees with them on $vector.name', ({ file, vector }) => {
    const { ok, index, tips, principals } = vector.expect
    expect(byFile.get(file)).toMatchObject({
      ok,
      ...(ok ? { anchored: false } : { index, code: expect.stringMatching(/^ERR_KEST_/) }),
      ...(tips === undefined ? {} : { tips }),
      ...(principals === undefined ? {} : { principals }),
    })
  })

  it('has vectors with certificates among them, that hold and that do not', () => {
    const certified = vectors.filter(({ vector }) => entriesOf(vector).some(carriesCertificates))
    expect(certified.filter(({ vector }) => vector.expect.ok).length).toBeGreaterThanOrEqual(3)
    expect(certified.filter(({ vector }) => !vector.expect.ok).length).toBeGreaterThanOrEqual(5)
  })

  it('exits with 0 when all hold, with 1 when all but one do', async () => {
    const valid = vectors.filter(({ vector }) => vector.expect.ok).map(({ file }) => file)
    const invalid = vectors.filter(({ vector }) => !vector.expect.ok).map(({ file }) => file)
    expect(await kest(['verify', ...valid])).toMatchObject({ code: 0, stderr: '' })
    expect(await kest(['verify', ...valid, invalid[0] as string])).toMatchObject({ code: 1, stderr: '' })
    expect(await kest(['verify', ...invalid])).toMatchObject({ code: 1, stderr: '' })
  })

  it.each(interop)('verifies what the Python implementation made: $vector.name', async ({ file, vector }) => {
    const path = await folder({ 'trust.json': vector.trust })
    const run = await kest(['verify', '--json', '--trust', join(path, 'trust.json'), file])
    expect(lines(run)).toMatchObject([{ ok: true, anchored: true, entries: entriesOf(vector).length }])
    expect(run.code).toBe(0)
  })
})

describe('kest show, and the vectors of an independent implementation', () => {
  it.each(['valid-three-hops', 'valid-two-tips', 'valid-unicode-and-numbers', 'valid-svid-two-hops'])(
    'shows every entry of %s',
    async (name) => {
      const { file, vector } = vectors.find((one) =>
        one.file.endsWith(`/${name}.json`),
      ) as (typeof vectors)[0]
      const run = await kest(['show', '--json', file])
      expect(run.code).toBe(0)
      const [shown] = lines(run)
      const entries = shown?.['entries'] as { readonly entry: unknown }[]
      expect(entries.map(({ entry }) => entry)).toEqual(entriesOf(vector).map(payloadOf))
    },
  )
})

function readVectors(kind: string): { readonly file: string; readonly vector: Vector }[] {
  const path = fileURLToPath(new URL(`../../core/tests/vectors/${kind}`, import.meta.url))
  return readdirSync(path)
    .filter((name) => name.endsWith('.json'))
    .map((name) => join(path, name))
    .map((file) => ({ file, vector: JSON.parse(readFileSync(file, 'utf8')) as Vector }))
}

function entriesOf({ passport }: Vector): readonly string[] {
  return Array.isArray(passport) ? passport.filter((entry) => typeof entry === 'string') : []
}

function carriesCertificates(jws: string): boolean {
  return headerOf(jws).includes('"x5c"')
}

function headerOf(jws: string): string {
  return Buffer.from(jws.split('.')[0] ?? '', 'base64url').toString()
}

function payloadOf(jws: string): unknown {
  return JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString())
}
