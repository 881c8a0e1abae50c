import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { root } from '../scripts/workspace.mjs'
import { snippetsOf } from './readmes/snippets.js'
import { linkWorkspaceModules } from './readmes/workspace-modules.js'
import { run } from './support/run.js'

const { resolve } = createRequire(import.meta.url)
const JEST = join(dirname(resolve('jest/package.json')), 'bin/jest.js')
const VITEST = join(dirname(resolve('vitest/package.json')), 'vitest.mjs')
const MODULES = { ...process.env, NODE_OPTIONS: '--experimental-vm-modules --no-warnings', VITEST: '' }

const work = await mkdtemp(join(tmpdir(), 'kest-runners-'))
afterAll(() => rm(work, { recursive: true, force: true }))
beforeAll(() => linkWorkspaceModules(work))

/** A file that the page shows, by its first line. */
function shown(name: string): string {
  const found = snippetsOf('docs/testing.md').filter(({ text }) => text.startsWith(`// ${name}`))
  expect(found, `docs/testing.md shows ${name} once`).toHaveLength(1)
  return `${found[0]?.text}\n`
}

/** A package of its own beside `node_modules`, with these files. */
async function project(
  name: string,
  type: 'module' | 'commonjs',
  files: Record<string, string>,
): Promise<string> {
  const folder = join(work, name)
  await mkdir(folder)
  await writeFile(join(folder, 'package.json'), JSON.stringify({ name, type, private: true }))
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder, file), text)
  return folder
}

const service = () => ({ 'orders.js': shown('orders.js'), 'orders.test.js': shown('orders.test.js, Vitest') })
/** In this one process, which is held by whatever a test leaves open. */
const jest = (folder: string, env: NodeJS.ProcessEnv = MODULES) =>
  run(process.execPath, [JEST, '--rootDir', folder, '--runInBand'], folder, env)

describe('docs/testing.md', () => {
  it.each(['forks', 'vmThreads'])('shows a test that passes in Vitest, pool %s', async (pool) => {
    const folder = await project(`vitest-${pool}`, 'module', service())
    const args = ['run', '--root', folder, '--pool', pool, '--reporter', 'verbose', '--no-color']
    const said = await run(process.execPath, [VITEST, ...args], folder, { ...process.env, VITEST: '' })
    expect(said).toMatch(/Tests +2 passed \(2\)/)
  })

  it('shows a test that passes in Jest as an ES module', async () => {
    const { 'orders.test.js': test, ...files } = service()
    const ours = test.replace(/^import .* from 'vitest'\n/m, '')
    expect(ours).not.toContain('vitest')
    const config = shown('jest.config.js, Jest')
    const folder = await project('jest-esm', 'module', {
      ...files,
      'orders.test.js': ours,
      'jest.config.js': config,
    })
    expect(await jest(folder)).toMatch(/Tests: +2 passed, 2 total/)
  })

  it('shows a test that passes in Jest as CommonJS, by require too where Jest knows that', async () => {
    const test = shown('orders.test.cjs, Jest')
    const required = test.replaceAll('await import(', 'require(')
    expect(required).not.toBe(test)
    const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
    const files = {
      'orders.test.js': test,
      ...(major * 100 + minor >= 2409 ? { 'required.test.js': required } : {}),
    }
    const folder = await project('jest-cjs', 'commonjs', files)
    const count = Object.keys(files).length
    expect(await jest(folder)).toContain(`${count} passed, ${count} total`)
  })
})

describe('under Jest', () => {
  const sent = `
    const { once } = await import('node:events')
    const server = (await import('node:http')).createServer(({ headers }, response) => response.end(headers.baggage))
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const url = 'http://127.0.0.1:' + server.address().port
    const { createKest } = await import('@kest/core')
    const { MockIdentityProvider, MockPolicyEngine, RecordingLogger } = await import('@kest/core/testing')
    const { createKestFetch, patchGlobalFetch } = await import('@kest/undici')
    const undici = await import('undici')
    const logger = new RecordingLogger()
    const kest = createKest({ identity: new MockIdentityProvider('a'), engine: new MockPolicyEngine(), logger })
    const within = async (fn) => (await kest.begin({ operation: 'a', policy: 'a', origin: 'system' })).run(fn)
    const rule = { kest, propagateTo: [url] }`

  it('requests carry the passport, by Node’s fetch and the package’s, of each realm', async () => {
    const test = `${sent}
    const agent = new undici.Agent()
    afterAll(async () => { server.close(); await agent.close() })
    const carries = async (response) => expect(await (await response).text()).toContain('kest.passport')
    it('createKestFetch', () => within(async () => {
      const send = createKestFetch(rule)
      await carries(send(url))
      await carries(send(new Request(url)))
      await carries(send(url, { dispatcher: agent }))
      const ofPackage = createKestFetch({ ...rule, fetch: undici.fetch })
      await carries(ofPackage(url))
      await carries(ofPackage(new undici.Request(url)))
    }))
    it('patchGlobalFetch', () => within(async () => {
      const unpatch = patchGlobalFetch(rule)
      await carries(fetch(url))
      await carries(fetch(new Request(url)))
      unpatch()
    }))
    it('inject', () => within(async () => {
      const headers = await kest.inject(new Headers(), url)
      expect(headers.get('baggage')).toContain('kest.passport')
      expect((await kest.inject({ baggage: Buffer.from('a=1') }, url)).baggage).toMatch(/kest.passport.*,a=1/)
    }))
    it('errors', async () => {
      const { KestError } = await import('@kest/core')
      await expect(kest.extract({})).rejects.toBeInstanceOf(KestError)
    })
    it('warns of nothing', () => expect(logger.records.filter(({ message }) => /could not be seen/.test(message))).toEqual([]))`
    const config = shown('jest.config.js, Jest')
    const folder = await project('jest-realm', 'module', { 'realm.test.js': test, 'jest.config.js': config })
    expect(await jest(folder)).toMatch(/Tests: +5 passed, 5 total/)
  })

  it('a test that fails with sources open fails, and hangs nothing', async () => {
    const authority = spawn(process.execPath, [join(root, 'packages/spiffe/tests/fixtures/authority.mjs')], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    onTestFinished(async () => {
      const ended = once(authority, 'close')
      authority.kill()
      await ended
    })
    const [address] = (await once(authority.stdout, 'data')) as [Buffer]
    const test = `
    it('fails before it closes', async () => {
      const { X509Source, BundleSource, JWTSource, SPIREProvider } = await import('@kest/spiffe')
      const options = { address: ${JSON.stringify(String(address).trim())} }
      const opened = []
      for (const source of [X509Source, BundleSource, JWTSource, SPIREProvider]) opened.push(await source.connect(options))
      const { createKest } = await import('@kest/core')
      opened.push(createKest({ identity: opened[3] }))
      expect(opened).toHaveLength(0)
      for (const source of opened) await source.close()
    })`
    const folder = await project('jest-open', 'module', {
      'open.test.js': test,
      'jest.config.js': shown('jest.config.js, Jest'),
      'kest.json': '{}',
    })
    const env = { ...MODULES, KEST_CONFIG: join(folder, 'kest.json') }
    await expect(jest(folder, env)).rejects.toThrow(/Tests: +1 failed, 1 total/)
  })
})
