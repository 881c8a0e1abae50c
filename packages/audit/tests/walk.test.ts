import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { MockIdentityProvider } from '@kest/core/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { filesInFolder, readFiles, sizeOf } from '../src/index.js'
import { makeEntry } from '../src/testing/make-entry.js'
import { otlpLine, spanOf } from '../src/testing/make-span.js'

/** Files by their path; a text that begins with `→` is a link. */
async function tree(files: Readonly<Record<string, string>>): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'kest-walk-test-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true })
    if (text.startsWith('→')) symlinkSync(text.slice(1), join(path, name))
    else writeFileSync(join(path, name), text)
  }
  return path
}

async function walked(path: string): Promise<[string, string][]> {
  const found: [string, string][] = []
  for await (const { path: file, passed } of filesInFolder(path))
    found.push([file.slice(path.length + 1), passed === null ? 'file' : `${passed.code}: ${passed.why}`])
  return found
}

describe('the files in a folder', () => {
  it('are those of the folders in it as well, in the order of their names', async () => {
    const path = await tree({ 'b/z': '', 'b/a/x': '', a: '', c: '', 'b/.hidden': '' })
    expect(await walked(path)).toEqual([
      ['a', 'file'],
      ['b/.hidden', 'file'],
      ['b/a/x', 'file'],
      ['b/z', 'file'],
      ['c', 'file'],
    ])
  })

  it('are by links too; a folder by a link is not read, and a circle has an end', async () => {
    const path = await tree({ 'a/file': '', 'a/again': '→..', b: '→a', c: '→a/file', d: '→nowhere' })
    expect(await walked(path)).toEqual([
      ['a/again', 'unreadable: it is a link to a folder, which is not followed: name it'],
      ['a/file', 'file'],
      ['b', 'unreadable: it is a link to a folder, which is not followed: name it'],
      ['c', 'file'],
      ['d', 'unreadable: it cannot be read: ENOENT'],
    ])
    expect((await walked(join(path, 'b'))).map(([name]) => name)).toEqual(['again', 'file'])
  })

  it('are none of a hidden folder, nor of one that lies very deep, which is said', async () => {
    const deep = Array.from({ length: 17 }, (_, i) => `${i}`).join('/')
    const path = await tree({ '.git/config': '', [`${deep}/x`]: '' })
    expect(await walked(path)).toEqual([
      ['.git', 'unreadable: it is a hidden folder, which is not read: name it'],
      [deep, 'limit: it lies deeper than 16 folders in each other: name it'],
    ])
    expect(await walked(join(path, '.git'))).toEqual([['config', 'file']])
  })

  it('are none of a folder with which there are too many names, and all of the others', async () => {
    const path = await tree({ 'a/x': '', 'c/x': '' })
    mkdirSync(join(path, 'b'))
    for (let i = 0; i < 100_000; i++) writeFileSync(join(path, 'b', String(i)), '')
    expect(await walked(path)).toEqual([
      ['a/x', 'file'],
      ['b', 'limit: with it there are more than 100000 names: name folders in it'],
      ['c/x', 'file'],
    ])
  }, 300_000)

  it.runIf(process.getuid?.() !== 0 && existsSync('/bin/sh'))(
    'are the others where a folder may not be read',
    async () => {
      const path = await tree({ 'a/x': '', 'b/x': '' })
      chmodSync(join(path, 'a'), 0)
      onTestFinished(() => chmodSync(join(path, 'a'), 0o700))
      expect(await walked(path)).toEqual([
        ['a', 'unreadable: it cannot be read: EACCES'],
        ['b/x', 'file'],
      ])
    },
  )
})

describe('readFiles', () => {
  it('K-AUDIT reads spans in folders of a folder, and finds what it does not read', async () => {
    const made = makeEntry(new MockIdentityProvider('gateway').current(), [])
    const line = `${otlpLine('any', [spanOf(made)])}\n`
    const path = await tree({ '2026/01/spans.jsonl': line, 'spans.jsonl': line, '.old/spans.jsonl': line })
    const spans: unknown[] = []
    const findings: unknown[] = []
    for await (const batch of readFiles([path])) {
      spans.push(...batch.spans.map(({ place }) => place.file.slice(path.length)))
      findings.push(...batch.findings.map(({ code, place }) => [code, place?.slice(path.length)]))
    }
    expect(spans).toEqual(['/2026/01/spans.jsonl', '/spans.jsonl'])
    expect(findings).toEqual([['unreadable', '/.old']])
    expect(await sizeOf([path])).toBe(2 * Buffer.byteLength(line))
  })
})
