import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { PassThrough } from 'node:stream'
import { parseRootsFile } from '@kest/core'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { init } from '../src/commands/init.js'
import { folder, type Run } from './support/kest.js'
import { runWithin } from './support/within.js'

vi.mock('node:os', async (original) => {
  const os = await original<typeof import('node:os')>()
  return { ...os, userInfo: vi.fn(os.userInfo) }
})

/** Runs the command in this process; `answers` are typed at a terminal. */
async function run(args: readonly string[], answers?: readonly string[]): Promise<Run> {
  const stdin = new PassThrough()
  stdin.end((answers ?? []).map((line) => `${line}\n`).join(''))
  if (answers !== undefined) Object.assign(stdin, { isTTY: true })
  return await runWithin(init, args, stdin)
}

async function orders(): Promise<string> {
  const place = `${await folder({})}/orders`
  await mkdir(place)
  return place
}

const IN_PROCESS = ['--engine', 'function', '--exporter', 'file']

describe('kest init', () => {
  it('writes what a service begins with, and says what comes next', async () => {
    const place = await orders()
    const { code, stdout, stderr } = await run([place, '--edge', '--approver', 'security@example.org'])
    expect([code, stderr]).toEqual([0, ''])
    expect((await readdir(place, { recursive: true })).sort()).toEqual([
      'collector.yaml',
      'compose.kest.yaml',
      'kest.mjs',
      'kest.patch',
      'kest.yaml',
      'policies',
      'policies/orders.rego',
      'policies/orders_test.rego',
    ])
    const deployment = await readFile(`${place}/kest.yaml`, 'utf8')
    expect(parseRootsFile(deployment, 'kest.yaml').rules).toEqual([
      { workload: 'spiffe://example.org/orders', ceiling: 40, identity: true },
    ])
    expect(deployment.match(/approver: "security@example\.org"/g)).toHaveLength(2)
    expect(stdout).toMatch(/^ {2}kest\.yaml +the deployment file$/m)
    expect(stdout).toMatch(/^ {2}opa test policies$/m)
  })

  it('writes no compose file where all is in the process, and no observation where none is wanted', async () => {
    const place = await orders()
    const { stdout } = await run([place, ...IN_PROCESS, '--observe', '0'])
    expect(await readdir(place)).toEqual(['kest.mjs', 'kest.patch', 'kest.yaml', 'policies'])
    expect(stdout).not.toContain('docker compose')
    expect(await readFile(`${place}/kest.yaml`, 'utf8')).not.toContain('observe')
  })

  it('writes nothing where one of its files is there, a link that leads nowhere included', async () => {
    const place = await orders()
    await writeFile(`${place}/kest.mjs`, 'mine')
    await symlink('nowhere', `${place}/kest.yaml`)
    await expect(run([place, ...IN_PROCESS])).rejects.toThrow(
      'kest.yaml, kest.mjs: there already, and not touched; --force replaces what is there',
    )
    expect(await readdir(place)).toEqual(['kest.mjs', 'kest.yaml'])
    expect(await readFile(`${place}/kest.mjs`, 'utf8')).toBe('mine')
  })

  it('replaces files where it is told to, and follows no link even then', async () => {
    const place = await orders()
    await writeFile(`${place}/kest.mjs`, 'mine')
    expect((await run([place, ...IN_PROCESS, '--force'])).code).toBe(0)
    expect(await readFile(`${place}/kest.mjs`, 'utf8')).toContain('configure({')
    const other = await orders()
    await symlink('nowhere', `${other}/kest.mjs`)
    await mkdir(`${other}/kest.patch`)
    await expect(run([other, ...IN_PROCESS, '--force'])).rejects.toThrow(
      'kest.mjs, kest.patch: a link, or no regular file: not replaced, and nothing was written',
    )
    expect(await readdir(other)).toEqual(['kest.mjs', 'kest.patch'])
  })

  it('asks who observes where the user has no name, as in a container', async () => {
    vi.mocked(userInfo).mockImplementationOnce(() => {
      throw new Error('uv_os_get_passwd returned ENOENT')
    })
    const place = await orders()
    await expect(run([place, ...IN_PROCESS])).rejects.toThrow(
      '--approver: this user has no name; say who observes',
    )
    expect(await readdir(place)).toEqual([])
  })

  it('says that a folder cannot be written', async () => {
    const place = await orders()
    await writeFile(`${place}/policies`, 'a file')
    await expect(run([place, ...IN_PROCESS])).rejects.toThrow(
      /policies.*: it cannot be (?:written|made): ENOTDIR/,
    )
  })

  it('asks a person for what no option says, and again where it does not understand', async () => {
    vi.stubEnv('CI', undefined)
    onTestFinished(() => void vi.unstubAllEnvs())
    const place = await orders()
    const { stderr } = await run([place, '--exporter', 'file'], ['expres', 'express', '', 'function'])
    expect(stderr.match(/[^?]*\?/g)).toEqual([
      'Which framework?',
      expect.stringContaining('Which framework?'),
      expect.stringContaining('Whose identity?'),
      expect.stringContaining('Who decides?'),
    ])
    const module = await readFile(`${place}/kest.mjs`, 'utf8')
    expect(module).toContain('SPIREProvider')
    expect(module).toContain('createFunctionEngine')
    expect(await readFile(`${place}/kest.patch`, 'utf8')).toContain('@kest/express')
  })

  it('writes nothing where the answers end', async () => {
    vi.stubEnv('CI', undefined)
    onTestFinished(() => void vi.unstubAllEnvs())
    const place = await orders()
    await expect(run([place], ['fastify'])).rejects.toThrow('there is no answer, and nothing was written')
    expect(await readdir(place)).toEqual([])
  })

  it('asks nobody where CI is set, or there is no terminal', async () => {
    vi.stubEnv('CI', 'true')
    onTestFinished(() => void vi.unstubAllEnvs())
    expect((await run([await orders(), ...IN_PROCESS], [])).stderr).toBe('')
    vi.stubEnv('CI', undefined)
    expect((await run([await orders(), ...IN_PROCESS])).stderr).toBe('')
  })

  it.each([
    [['a', 'b'], 'one folder at a time'],
    [
      ['--framework', 'fastfy'],
      '--framework: expected fastify or express, got "fastfy"; did you mean fastify?',
    ],
    [
      ['--name', 'Orders!'],
      '--name: expected letters, digits and dashes, at most 40, such as orders; got "Orders!"',
    ],
    [['--name', 'package'], '--name: Rego has that word for itself'],
    [['--name', "x', evil"], '--name: expected'],
    [['orders', '--trust-domain', 'Example'], '--trust-domain: expected a name such as example.org'],
    [['orders', '--observe', '91'], '--observe: expected days from 0 to 90, got "91"'],
    [['orders', '--observe', 'ever'], '--observe: expected days'],
    [['orders', '--approver', ' '], '--approver: expected who it is'],
  ])('says what is wrong: %j', async (args, message) => {
    await expect(run(args)).rejects.toThrow(message)
  })

  it('an approver is text, whatever is in it', async () => {
    const place = await orders()
    await run([place, ...IN_PROCESS, '--edge', '--approver', 'a"\n  - what: policy # \u2028'])
    const text = await readFile(`${place}/kest.yaml`, 'utf8')
    expect(parseRootsFile(text, 'kest.yaml').rules).toHaveLength(1)
    expect(text.match(/what:/g)).toHaveLength(4)
  })
})
