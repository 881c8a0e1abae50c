import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, lstat, mkdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { removeLeftovers } from '../src/files/leftovers.js'
import { BINARY, folder, kest } from './support/kest.js'
import { chain, exported, KEYS } from './support/spans.js'

const files = () => folder({ 'keys.json': KEYS, 'spans.jsonl': exported(...chain()) })

describe('what kest reads', () => {
  it.each(['--keys', '--trust', 'PATH'])('is no FIFO and no device that is named: %s', async (option) => {
    const path = await files()
    execFileSync('mkfifo', [join(path, 'fifo')])
    for (const file of [join(path, 'fifo'), '/dev/zero'].filter(existsSync)) {
      const run = await kest([
        'audit',
        ...(option === 'PATH'
          ? [file, '--keys', `${path}/keys.json`]
          : [`${path}/spans.jsonl`, option, file]),
      ])
      expect(run).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('no regular file') })
    }
  })

  it('is standard input for "-", once', async () => {
    const path = await files()
    const stdin = exported(...chain())
    const keys = ['--keys', `${path}/keys.json`]
    expect(await kest(['audit', '-', ...keys], { stdin })).toMatchObject({ code: 0, stderr: '' })
    expect(await kest(['evidence', '-', ...keys], { stdin })).toMatchObject({ code: 0, stderr: '' })
    expect(await kest(['audit', '-', '--keys', '-'], { stdin })).toMatchObject({ code: 2 })
  })

  it.runIf(existsSync('/bin/bash'))('is what a shell hands down', async () => {
    const path = await files()
    await writeFile(join(path, 'spans.gz'), gzipSync(exported(...chain())))
    const kest = `'${process.execPath}' '${BINARY}'`
    const command = `${kest} audit <(gzip -dc spans.gz) --keys <(cat keys.json)`
    expect(execFileSync('/bin/bash', ['--norc', '-c', command], { cwd: path, encoding: 'utf8' })).toContain(
      '1 verified',
    )
  })

  it('fails for what it cannot read', async () => {
    const path = await files()
    await writeFile(join(path, 'more.jsonl.xz'), Buffer.from('fd377a585a000004', 'hex'))
    const run = await kest(['audit', path, '--keys', `${path}/keys.json`])
    expect(run).toMatchObject({ code: 1, stdout: expect.stringContaining('xz -dc') })
  })
})

describe('what kest writes', () => {
  const evidence = (path: string, output: string) =>
    kest(['evidence', `${path}/spans.jsonl`, '--keys', `${path}/keys.json`, '-o', output])

  it('replaces a file as a whole, and keeps who may read it', async () => {
    const path = await files()
    const output = join(path, 'out.json')
    await writeFile(output, 'before')
    await chmod(output, 0o600)
    expect((await evidence(path, output)).code).toBe(0)
    expect(JSON.parse(await readFile(output, 'utf8'))).toHaveProperty('passport')
    expect((await lstat(output)).mode & 0o777).toBe(0o600)
  })

  it.each(['a'.repeat(255), '字'.repeat(85)])('has a name that may be as long as any: %s', async (name) => {
    const path = await files()
    expect(await evidence(path, join(path, name))).toMatchObject({ code: 0, stderr: '' })
    expect(existsSync(join(path, name))).toBe(true)
  })

  it.each([
    ['evidence', 'spans.jsonl', 'spans.jsonl'],
    ['evidence', 'spans.jsonl', 'keys.json'],
    ['graph', 'case', './case'],
    ['graph', 'link', 'case'],
    ['graph', 'case', 'keys.json'],
  ])('replaces nothing that it reads: %s %s -o %s', async (command, input, output) => {
    const path = await files()
    await evidence(path, join(path, 'case'))
    await symlink('case', join(path, 'link'))
    const before = await readFile(join(path, output), 'utf8')
    const format = command === 'graph' ? ['-f', 'html'] : []
    const run = await kest([command, input, '--keys', 'keys.json', ...format, '-o', output], { cwd: path })
    expect(run).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('it is read, and would be replaced'),
    })
    expect(await readFile(join(path, output), 'utf8')).toBe(before)
  })

  it('follows no link, and opens no FIFO', async () => {
    const path = await files()
    await writeFile(join(path, 'precious'), 'precious')
    await symlink('precious', join(path, 'link'))
    await symlink('nowhere', join(path, 'dangling'))
    execFileSync('mkfifo', [join(path, 'fifo')])
    for (const name of ['link', 'dangling', 'fifo', '.'])
      expect(await evidence(path, join(path, name))).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('it cannot be written'),
      })
    expect(await readFile(join(path, 'precious'), 'utf8')).toBe('precious')
    expect(existsSync(join(path, 'nowhere'))).toBe(false)
  })
})

describe('temporary files', () => {
  it('are not our mistake where there is no place for them', async () => {
    const path = await files()
    const run = await kest(['audit', `${path}/spans.jsonl`, '--keys', `${path}/keys.json`], {
      env: { TMPDIR: join(path, 'nowhere') },
    })
    expect(run).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/ENOENT; TMPDIR names another folder/),
    })
    expect(run.stderr).not.toContain('mistake')
  })

  it('that a killed run left are removed by the next, and nothing else', async () => {
    const path = await folder({})
    await chmod(path, 0o700)
    const old = new Date(Date.now() - 7_200_000)
    const make = async (name: string, mode = 0o700): Promise<void> => {
      await mkdir(join(path, name))
      await writeFile(join(path, name, 'x'), '')
      await chmod(join(path, name), mode)
      await utimes(join(path, name), old, old)
    }
    // No process has this number: it is larger than any may be.
    const gone = 'kest-cli-4194305-abcdef'
    await make(gone)
    await make('kest-cli-4194305-others', 0o755)
    await make(`kest-cli-${process.pid}-abcdef`)
    await make('kest-cli-4194305-abcdefg')
    await make('kest-audit-abcdef')
    await symlink(join(path, 'kest-audit-abcdef'), join(path, 'kest-cli-4194305-alinkx'))
    const kept = [
      'kest-cli-4194305-others',
      `kest-cli-${process.pid}-abcdef`,
      'kest-cli-4194305-abcdefg',
      'kest-audit-abcdef/x',
      'kest-cli-4194305-alinkx/x',
    ]
    await removeLeftovers(path, Date.now() - 7_000_000)
    expect(existsSync(join(path, gone))).toBe(true)
    // Where anybody may rename it, it is not touched.
    await chmod(path, 0o777)
    await removeLeftovers(path)
    expect(existsSync(join(path, gone))).toBe(true)
    await chmod(path, 0o1777)
    await removeLeftovers(path)
    expect(existsSync(join(path, gone))).toBe(false)
    expect(kept.filter((name) => !existsSync(join(path, name)))).toEqual([])
  })
})
