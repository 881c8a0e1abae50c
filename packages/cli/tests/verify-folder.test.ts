import { execFileSync } from 'node:child_process'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { evidenceOf, trustOf } from './support/evidence.js'
import { folder, kest, lines } from './support/kest.js'

const GOOD = JSON.stringify(evidenceOf([{ by: 'hop1' }, { by: 'hop2' }]))
/** As a disk leaves it: a byte of its first entry is none of a text. */
const BROKEN = Buffer.from(GOOD.replace('.', '\u0000')).map((byte) => (byte === 0 ? 0xff : byte))
const BAD = JSON.stringify({ ...JSON.parse(GOOD), trust: trustOf('hop1') })

async function tree(files: Readonly<Record<string, string | Buffer>>): Promise<string> {
  const path = await folder({})
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(path, name)), { recursive: true })
    await writeFile(join(path, name), content)
  }
  return path
}

describe('kest verify, of a folder', () => {
  it('checks the evidence in it and in its folders, in the order of their names', async () => {
    const path = await tree({ 'b/2.json': GOOD, 'b/1': GOOD, 'a.json': GOOD, '.c.json': GOOD })
    const run = await kest(['verify', '--json', '.'], { cwd: path })
    expect(run).toMatchObject({ code: 0, stderr: '' })
    expect(lines(run).map(({ file, ok }) => [file, ok])).toEqual([
      ['.c.json', true],
      ['a.json', true],
      ['b/1', true],
      ['b/2.json', true],
    ])
  })

  it('says of what is something else that it was passed over, and fails for none of it', async () => {
    const path = await tree({
      'a.json': GOOD,
      'audit.db': Buffer.from('SQLite format 3\0\xff', 'latin1'),
      'notes.txt': 'nothing',
      'spans.jsonl': `{"resourceSpans":[]}\n${' '.repeat(4_194_304)}`,
      'trust.json': JSON.stringify(trustOf('hop1')),
    })
    const { code, stdout, stderr } = await kest(['verify', '.'], { cwd: path })
    expect(code).toBe(0)
    expect(stdout).toMatch(/^a\.json: consistent with its own keys\n/)
    expect(stderr.split('\n')).toEqual([
      'kest: audit.db: no evidence, passed over: it is not UTF-8',
      'kest: notes.txt: no evidence, passed over: it is something else',
      expect.stringMatching(/^kest: spans\.jsonl: no evidence, passed over: more than 4194304 bytes/),
      'kest: trust.json: no evidence, passed over: it is something else',
      '',
    ])
  })

  it.each([
    ['damaged evidence', { 'case.txt': GOOD.slice(0, -1) }, 'ERR_KEST_EVIDENCE'],
    ['a byte of it that is no text', { case: BROKEN }, 'ERR_KEST_EVIDENCE'],
    [
      'its mark damaged',
      { case: GOOD.replace('"kest-evidence-1"', 'kest-evidence-1"') },
      'ERR_KEST_EVIDENCE',
    ],
    ['much of it, whatever its name', { case: `${GOOD}${' '.repeat(4_194_304)}` }, 'ERR_KEST_LIMIT'],
    ['a name that promises JSON', { 'case.json': '' }, 'ERR_KEST_EVIDENCE'],
    ['bytes that are no text, under such a name', { 'case.json': Buffer.from([0xff]) }, 'ERR_KEST_EVIDENCE'],
    ['evidence of another format', { case: GOOD.replace('kest-evidence-1', 'x') }, 'ERR_KEST_EVIDENCE'],
    ['evidence without a passport', { case: '{"format":"kest-evidence-1"}' }, 'ERR_KEST_EVIDENCE'],
    ['much of it', { 'case.json': `${GOOD}${' '.repeat(4_194_304)}` }, 'ERR_KEST_LIMIT'],
    ['a hidden folder', { '.old/case.json': GOOD }, 'ERR_KEST_EVIDENCE'],
  ])('exits with 2 for what could be evidence: %s', async (_what, files, code) => {
    const path = await tree({ 'a.json': GOOD, ...(files as Record<string, string>) })
    const run = await kest(['verify', '--json', path])
    expect(run.code).toBe(2)
    expect(lines(run).filter(({ ok }) => ok !== true)).toMatchObject([{ ok: false, code, index: null }])
    expect(lines(run)).toHaveLength(2)
  })

  it('exits with 2 for a FIFO, a link to a folder and a link to nothing, and waits for none', async () => {
    const path = await tree({ 'a.json': GOOD })
    execFileSync('mkfifo', [join(path, 'fifo')])
    await symlink('.', join(path, 'circle'))
    await symlink('nowhere', join(path, 'nothing'))
    await symlink('a.json', join(path, 'link.json'))
    const run = await kest(['verify', '--json', '.'], { cwd: path })
    expect(run.code).toBe(2)
    expect(lines(run)).toMatchObject([
      { file: 'a.json', ok: true },
      { file: 'circle', message: 'it is a link to a folder, which is not followed: name it' },
      { file: 'fifo', message: 'it is no regular file' },
      { file: 'link.json', ok: true },
      { file: 'nothing', message: 'it cannot be read: ENOENT' },
    ])
  })

  it('exits with 2 when there is no evidence in it', async () => {
    const path = await tree({ 'notes.txt': 'nothing' })
    const run = await kest(['verify', path])
    expect(run).toMatchObject({ code: 2, stdout: expect.stringContaining('there is no evidence in it') })
  })

  it('shows with --only-findings those alone of which there is something to say, and counts all', async () => {
    const path = await tree({ 'a.json': GOOD, 'b.json': BAD, 'c.json': GOOD })
    const run = await kest(['verify', '--only-findings', '.'], { cwd: path })
    expect(run.code).toBe(1)
    expect(run.stdout).toMatch(/^b\.json: does not hold\n/)
    expect(run.stdout).not.toContain('a.json')
    expect(run.stdout).toMatch(/\n3 files: 2 consistent with their own keys, 1 does not hold\n$/)
    const json = await kest(['verify', '--only-findings', '--json', '.'], { cwd: path })
    expect(lines(json).map(({ file }) => file)).toEqual(['b.json'])
    const one = await kest(['verify', '--only-findings', 'a.json'], { cwd: path })
    expect(one).toMatchObject({ code: 0, stdout: '1 file: 1 consistent with its own keys\n' })
  })
})
