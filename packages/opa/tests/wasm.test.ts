import { copyFile, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createKest } from '@kest/core'
import { MockIdentityProvider, RecordingLogger } from '@kest/core/testing'
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { policyLibrary, RegoWasmEngine, type RegoWasmOptions } from '../src/index.js'
import { PolicySource } from '../src/wasm/policy-source.js'
import { requestOf } from './support/context.js'

const LIBRARY = fileURLToPath(policyLibrary())

const minimum = (score: number) => ({ kest: { parameters: { minimum_trust: { score } } } })

async function load(
  source: string | URL | Uint8Array,
  options: RegoWasmOptions = {},
): Promise<RegoWasmEngine> {
  const engine = await RegoWasmEngine.load(source, { logger: new RecordingLogger(), ...options })
  onTestFinished(() => engine.close())
  return engine
}

const asked = requestOf('kest/minimum_trust', { trust_score: 50 })

describe('deciding in process', () => {
  it('decides by a file, a URL and bytes alike', async () => {
    for (const source of [LIBRARY, policyLibrary(), await readFile(LIBRARY)]) {
      const engine = await load(source, { data: minimum(50) })
      expect(engine.evaluate(asked)).toBe(true)
      expect(engine.evaluate(requestOf('kest/minimum_trust', { trust_score: 49 }))).toEqual({
        allow: false,
        reason: 'kest/minimum_trust: trust is 49, at least 50 is required',
      })
    }
  })

  it('TC-07 TC-08 F-PE-03 all policies must allow, or the operation does not run', async () => {
    const kest = createKest({
      identity: new MockIdentityProvider('spiffe://example.org/orders'),
      engine: await load(policyLibrary(), { data: minimum(40) }),
      logger: new RecordingLogger(),
    })
    const begin = (policy: string | readonly [string, ...string[]]) =>
      kest.begin({ operation: 'orders.read', policy, origin: 'user_input' })
    expect((await begin('kest/minimum_trust')).entry.entry.policy_context.function_policies).toEqual([
      'kest/minimum_trust',
    ])
    await expect(begin(['kest/minimum_trust', 'kest/required_hops'])).rejects.toMatchObject({
      code: 'ERR_KEST_DENIED',
    })
  })

  it('denies what it has no policy for, by names that objects have as well', async () => {
    const engine = await load(policyLibrary(), { data: minimum(0) })
    for (const name of ['kest', 'kest/nothing', 'minimum_trust', '__proto__', 'constructor', 'toString']) {
      expect(engine.evaluate(requestOf(name))).toEqual({
        allow: false,
        reason: `${name}: there is no such policy`,
      })
    }
  })

  it('goes by the paths that it is given, and fails at once where there is none', async () => {
    const engine = await load(policyLibrary(), {
      data: minimum(50),
      paths: { trusted: '/kest/minimum_trust' },
    })
    expect(engine.evaluate(requestOf('trusted', { trust_score: 50 }))).toBe(true)
    await expect(load(policyLibrary(), { paths: { trusted: 'kest/nothing' } })).rejects.toMatchObject({
      code: 'ERR_KEST_CONFIG',
      message: expect.stringMatching(/^policy "trusted": no entry point "kest\/nothing"; there is kest\//),
    })
  })

  it('takes a document that is no decision for no answer', async () => {
    const engine = await load(policyLibrary(), { data: minimum(99), decisionPath: 'reason' })
    expect(() => engine.evaluate(asked)).toThrow(
      expect.objectContaining({ code: 'ERR_KEST_ENGINE_ANSWER', statusCode: 503 }),
    )
  })

  it('gives a module the memory that it wants to begin with, up to the bound', async () => {
    const bytes = await readFile(LIBRARY)
    const minimumAt = bytes.indexOf('\x03env\x06memory\x02', 'latin1') + '\x03env\x06memory\x02'.length + 1
    bytes[minimumAt] = 100
    const engine = await load(bytes, { data: minimum(40), maxMemoryBytes: 128 * 65_536 })
    expect(engine.evaluate(asked)).toBe(true)
    await expect(load(bytes, { maxMemoryBytes: 99 * 65_536 })).rejects.toMatchObject({
      code: 'ERR_KEST_CONFIG',
      message: expect.stringContaining('memory'),
    })
  })

  it('refuses policies that call a function which here is not that of OPA', async () => {
    const bytes = await readFile(LIBRARY)
    bytes.write('regex.split', bytes.indexOf('time.now_ns\0', 'latin1'))
    await expect(load(bytes)).rejects.toMatchObject({
      code: 'ERR_KEST_CONFIG',
      message: 'the policies call regex.split, which is not that of OPA here',
    })
  })

  it('decides no more when it is closed', async () => {
    const engine = await load(policyLibrary(), { data: minimum(0) })
    engine.close()
    engine.close()
    expect(() => engine.evaluate(asked)).toThrow(expect.objectContaining({ code: 'ERR_KEST_ENGINE' }))
  })

  it('does not grow, and bounds what one question may take', async () => {
    const engine = await load(policyLibrary(), { data: minimum(40), maxMemoryBytes: 8 * 1024 * 1024 })
    const taints = Array.from({ length: 200 }, (_, n) => `taint-${n}`)
    const request = requestOf('kest/minimum_trust', { trust_score: 50, subject: { taints } })
    for (let n = 0; n < 200; n++) expect(engine.evaluate(request)).toBe(true)
    const before = engine.status().memoryBytes
    for (let n = 0; n < 5_000; n++) engine.evaluate(request)
    expect(engine.status().memoryBytes).toBe(before)

    const huge = requestOf('kest/minimum_trust', {
      subject: { trust_score: 50, taints: ['x'.repeat(16 * 1024 * 1024)] },
    })
    expect(() => engine.evaluate(huge)).toThrow(expect.objectContaining({ code: 'ERR_KEST_ENGINE' }))
    expect(engine.evaluate(asked)).toBe(true)
    expect(engine.status().memoryBytes).toBeLessThanOrEqual(8 * 1024 * 1024)
  })
})

describe('files that change', () => {
  let folder: string
  let wasm: string
  let data: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kest-rego-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    wasm = join(folder, 'policy.wasm')
    data = join(folder, 'data.json')
    await copyFile(LIBRARY, wasm)
    await replace(data, JSON.stringify(minimum(50)))
  })

  it('are followed as a whole; what cannot be loaded leaves in force what was, and says so', async () => {
    const logger = new RecordingLogger()
    const engine = await load(wasm, { data, reloadMs: 10, logger })
    expect(engine.evaluate(asked)).toBe(true)
    expect(engine.generation).toBe(0)

    await replace(data, JSON.stringify(minimum(60)))
    await vi.waitFor(() => expect(engine.generation).toBe(1), 60_000)
    expect(engine.evaluate(asked)).toMatchObject({ allow: false })

    await replace(data, '{"kest":')
    await vi.waitFor(() => expect(engine.status().error).not.toBeNull(), 60_000)
    expect(engine.evaluate(asked)).toMatchObject({ allow: false })
    expect(logger.records.filter(({ level }) => level === 'error')).toHaveLength(1)

    await replace(wasm, 'no wasm')
    await replace(data, JSON.stringify(minimum(50)))
    await expect(engine.reload()).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
    expect(engine.evaluate(asked)).toMatchObject({ allow: false })

    await replace(wasm, await readFile(LIBRARY))
    await vi.waitFor(() => expect(engine.evaluate(asked)).toBe(true), 60_000)
    expect(engine.status().error).toBeNull()
  })

  it.each<[string, () => Promise<never>]>([
    ['changed', () => Promise.resolve({} as never)],
    ['gone', () => Promise.reject(new Error('gone'))],
  ])('that are found to be %s when it was closed meanwhile are nobody’s concern', async (_, found) => {
    const logger = new RecordingLogger()
    let goOn = (): void => {}
    const held = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const looking = vi.spyOn(PolicySource.prototype, 'readChange').mockImplementation(() => held.then(found))
    onTestFinished(() => looking.mockRestore())
    const engine = await load(wasm, { data, reloadMs: 1, logger })
    await expect.poll(() => looking.mock.calls.length).toBe(1)
    engine.close()
    goOn()
    // Behind whatever was begun.
    await engine.reload()
    expect(engine.generation).toBe(1)
    expect(logger.records.map(({ level }) => level)).toEqual(['info'])
  })

  it('must be there when it is made', async () => {
    await expect(load(join(folder, 'nothing.wasm'))).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
    await writeFile(wasm, 'no wasm')
    await expect(load(wasm)).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
    await expect(load(LIBRARY, { data: join(folder, 'nothing.json') })).rejects.toMatchObject({
      code: 'ERR_KEST_CONFIG',
    })
  })

  /** As one replaces a file that others read: there is never half of it. */
  async function replace(file: string, content: string | Uint8Array): Promise<void> {
    await writeFile(`${file}.new`, content)
    await rename(`${file}.new`, file)
  }
})

describe('options', () => {
  it.each([
    [{ unknown: 1 }, 'unknown option "unknown"'],
    [{ data: [] }, 'data: expected'],
    [{ paths: { a: '/' } }, 'expected a path'],
    [{ decisionPath: '.' }, 'decisionPath'],
    [{ reloadMs: -1 }, 'reloadMs'],
    [{ reloadMs: 2 ** 31 }, 'reloadMs'],
    [{ maxMemoryBytes: 1 }, 'maxMemoryBytes'],
    [{ builtins: { x: 7 } }, 'builtins: x is no function'],
    ...['json.is_valid', 'regex.split', 'sprintf', 'yaml.is_valid', 'yaml.marshal', 'yaml.unmarshal'].map(
      (name): [object, string] => [{ builtins: { [name]: () => '' } }, `${name} cannot be given`],
    ),
  ])('%o is refused when the engine is made', async (options, message) => {
    await expect(load(policyLibrary(), options as unknown as RegoWasmOptions)).rejects.toMatchObject({
      code: 'ERR_KEST_CONFIG',
      message: expect.stringContaining(message),
    })
  })

  it('bytes cannot change', async () => {
    await expect(load(await readFile(LIBRARY), { reloadMs: 10 })).rejects.toThrow('reloadMs')
  })
})
