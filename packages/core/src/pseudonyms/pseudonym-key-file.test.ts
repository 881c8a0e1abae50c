import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { KestConfigError } from '../errors.js'
import { PseudonymKeyFile } from './pseudonym-key-file.js'

const text = (byte: number, length = 32): string => Buffer.alloc(length, byte).toString('base64url')
const [K1, K2] = [text(1), text(2, 64)]
const subject = { tenant: 'acme' }

/** A file of this content, which can be replaced as a secret is. */
function fileOf(content: unknown) {
  const folder = mkdtempSync(join(tmpdir(), 'kest-pseudonyms-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'keys.json')
  const write = (what: unknown): void => {
    writeFileSync(`${path}.new`, typeof what === 'string' ? what : JSON.stringify(what))
    renameSync(`${path}.new`, path)
  }
  write(content)
  return { path, write }
}

describe('keys for pseudonyms in a file', () => {
  it('K-PSEUDONYM are one ring for all', async () => {
    const { path } = fileOf({ current: 'k2', keys: { k1: K1, k2: K2 } })
    for (const where of [path, pathToFileURL(path)]) {
      const keys = await PseudonymKeyFile.open(where)
      expect(await keys.current(subject)).toEqual({ kid: 'k2', key: Buffer.alloc(64, 2) })
      expect(await keys.find('k1', { tenant: null })).toEqual({ kid: 'k1', key: Buffer.alloc(32, 1) })
      expect((await keys.all(subject)).map(({ kid }) => kid)).toEqual(['k1', 'k2'])
      for (const kid of ['k3', '__proto__', 'toString']) expect(await keys.find(kid, subject)).toBeNull()
    }
  })

  it('K-PSEUDONYM are one ring for each tenant, and none for others', async () => {
    const tenants = { acme: { current: 'a', keys: { a: K1 } }, other: { current: 'b', keys: { b: K2 } } }
    const keys = await PseudonymKeyFile.open(fileOf({ tenants }).path)
    expect((await keys.current(subject))?.kid).toBe('a')
    expect(await keys.find('b', subject)).toBeNull()
    for (const tenant of ['nobody', '__proto__', null]) {
      expect(await keys.current({ tenant })).toBeNull()
      expect(await keys.all({ tenant })).toEqual([])
    }
  })

  it('K-PSEUDONYM are looked at again: rotated, and destroyed', async () => {
    const { path, write } = fileOf({ current: 'k1', keys: { k1: K1 } })
    const keys = await PseudonymKeyFile.open(path, { maxAgeMs: 0 })
    write({ current: 'k2', keys: { k1: K1, k2: K2 } })
    expect((await keys.current(subject))?.kid).toBe('k2')
    expect((await keys.find('k1', subject))?.kid).toBe('k1')
    write({ current: 'k2', keys: { k2: K2 } })
    expect(await keys.find('k1', subject)).toBeNull()
  })

  it('K-PSEUDONYM are read once for all who ask at the same time, and kept for as long as it says', async () => {
    const { path, write } = fileOf({ current: 'k1', keys: { k1: K1 } })
    const keys = await PseudonymKeyFile.open(path, { maxAgeMs: 3_600_000 })
    write('gone')
    const kids = await Promise.all(Array.from({ length: 50 }, () => keys.current(subject)))
    expect(kids.every((key) => key?.kid === 'k1')).toBe(true)
  })

  it('K-PSEUDONYM are none while the file is gone or malformed, and there again after', async () => {
    const { path, write } = fileOf({ current: 'k1', keys: { k1: K1 } })
    const keys = await PseudonymKeyFile.open(path, { maxAgeMs: 0 })
    write('{')
    await expect(keys.current(subject)).rejects.toThrow(KestConfigError)
    await expect(keys.find('k1', subject)).rejects.toThrow(KestConfigError)
    rmSync(path)
    await expect(keys.current(subject)).rejects.toThrow(/cannot be read/)
    write({ current: 'k1', keys: { k1: K1 } })
    expect((await keys.current(subject))?.kid).toBe('k1')
  })

  it.each<[string, unknown]>([
    ['no JSON', `{"current":"k1","keys":{"k1":"${K1}"}`],
    ['no object', []],
    ['nothing', {}],
    ['no current', { keys: { k1: K1 } }],
    ['a current that is not there', { current: 'k2', keys: { k1: K1 } }],
    ['a current of the prototype', { current: 'constructor', keys: { k1: K1 } }],
    ['another member', { current: 'k1', keys: { k1: K1 }, more: 1 }],
    ['another member beside tenants', { current: 'k1', keys: { k1: K1 }, tenants: {} }],
    ['a key of 31 bytes', { current: 'k1', keys: { k1: text(1, 31) } }],
    ['a key that is no text', { current: 'k1', keys: { k1: 7 } }],
    ['a key with padding', { current: 'k1', keys: { k1: Buffer.alloc(32).toString('base64') } }],
    ['a key that is spelled otherwise', { current: 'k1', keys: { k1: `${K1.slice(0, -1)}F` } }],
    ['a kid with a dot', { current: 'k.1', keys: { 'k.1': K1 } }],
    ['a kid that is too long', { current: 'k'.repeat(65), keys: { ['k'.repeat(65)]: K1 } }],
    ['a key twice', `{"current":"k1","keys":{"k1":"${K1}","k1":"${K2}"}}`],
    ['a tenant that is none', { tenants: { acme: null } }],
    ['a tenant without keys', { tenants: { acme: { current: 'a', keys: {} } } }],
    ['what nests without end', `${'{"tenants":'.repeat(9_000)}1${'}'.repeat(9_000)}`],
  ])('K-PSEUDONYM are not taken of a file with %s, and nothing of it is told', async (_, content) => {
    const failure: unknown = await PseudonymKeyFile.open(fileOf(content).path).catch((error) => error)
    expect(failure).toMatchObject({
      code: 'ERR_KEST_CONFIG',
      message: expect.stringContaining('keys.json: '),
    })
    expect(String((failure as Error).stack)).not.toContain(K1.slice(0, 8))
    expect((failure as Error).cause).toBeUndefined()
  })

  it('K-PSEUDONYM are not taken of a file that is not UTF-8, too large, or a folder', async () => {
    const { path } = fileOf('')
    for (const bytes of [Buffer.from([0x22, 0xff, 0x22]), Buffer.alloc(5 * 1024 * 1024, 0x20)]) {
      writeFileSync(path, bytes)
      await expect(PseudonymKeyFile.open(path)).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
    }
    await expect(PseudonymKeyFile.open(tmpdir())).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
    await expect(PseudonymKeyFile.open(path, { maxAgeMs: -1 })).rejects.toThrow(/maxAgeMs/)
  })
})
