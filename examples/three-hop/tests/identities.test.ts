import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { RecordingLogger } from '@kest/core/testing'
import { createDevAuthority } from '@kest/spiffe/dev'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseArguments } from '../src/arguments.js'
import { Failure } from '../src/failure.js'
import { localKeys } from '../src/operator/local-keys.js'
import { startAttestingAgent } from './support/attesting-agent.js'
import { runMain, runs } from './support/run-main.js'

const USERS = [60_001, 60_002, 60_003] as const
const HOP = fileURLToPath(new URL('../dist/hop1.js', import.meta.url))

let out: string

beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'kest-three-hop-'))
})

afterEach(() => rmSync(out, { recursive: true }))

afterAll(() => {
  for (const run of runs) run.kill('SIGKILL')
  runs.clear()
})

describe('with SPIFFE_ENDPOINT_SOCKET', () => {
  it('says what is wrong when the services are all given one identity', async () => {
    await using authority = await createDevAuthority({
      trustDomain: 'example.org',
      workloads: { everybody: {} },
      logger: new RecordingLogger(),
    })
    const { code, stdout, stderr } = await runWith(authority.sockets['everybody']!)
    expect(stderr).toContain(
      'hop1, hop2, hop3 were all given the identity spiffe://example.org/everybody: the Workload API cannot tell their processes apart',
    )
    expect(stdout).not.toContain('SUCCESS')
    expect(code).toBe(1)
  })

  it.runIf(process.platform === 'linux')('says who should be another', async () => {
    await using agent = await startAttestingAgent(['main', 'hop1', 'hop2', 'third'], ({ command }) =>
      /(\w+)\.js/.exec(command)?.[1]?.replace('hop3', 'third'),
    )
    const { code, stderr } = await runWith(agent.address)
    expect(stderr).toContain(
      'hop3 was given the identity spiffe://example.org/third; it should be spiffe://example.org/hop3',
    )
    expect(code).toBe(1)
  })

  it('says that it has no bundle of the services’ trust domain', async () => {
    await using authority = await createDevAuthority({
      trustDomain: 'example.com',
      workloads: { everybody: {} },
      logger: new RecordingLogger(),
    })
    const { code, stderr } = await runWith(authority.sockets['everybody']!)
    expect(stderr).toContain('has no bundle of example.org')
    expect(code).toBe(1)
  })

  it('says that the operator is not registered', async () => {
    await using authority = await createDevAuthority({
      trustDomain: 'example.org',
      workloads: { everybody: {} },
      logger: new RecordingLogger(),
    })
    authority.withdraw('everybody')
    const { code, stderr } = await runWith(authority.sockets['everybody']!)
    expect(stderr).toContain(
      'no identity issued\nThe operator asks it as a workload: it needs a registration, too.',
    )
    expect(code).toBe(1)
  })

  it('says that there is no address in it', async () => {
    const { code, stderr } = await runWith('/run/spire/agent.sock')
    expect(stderr).toContain('expected unix:///absolute/path or tcp://ip:port')
    expect(code).toBe(1)
  })

  it('is of no account with local keys', async () => {
    const { code, stdout } = await runMain([out, '--local-keys'], { SPIFFE_ENDPOINT_SOCKET: 'none' }).ended
    expect(stdout).toContain('SUCCESS')
    expect(code).toBe(0)
  })

  it.runIf(mayActAsOthers())('lets the agent tell services apart by their users', async () => {
    chmodSync(out, 0o755)
    const names = new Map<number, string>(USERS.map((uid, i) => [uid, `hop${i + 1}`]))
    await using agent = await startAttestingAgent(['operator', ...names.values()], ({ uid }) =>
      uid === 0 ? 'operator' : names.get(uid),
    )
    const { code, stderr, stdout } = await runWith(agent.address, '--users', USERS.join())
    expect(stderr).toBe('')
    expect(stdout).toContain('SUCCESS: Distributed Merkle Lineage Verified.')
    expect(code).toBe(0)
    const owners = readdirSync(out).flatMap((file) =>
      file.endsWith('.spans') ? statSync(join(out, file)).uid : [],
    )
    expect(owners.sort()).toEqual(USERS)
  })

  function runWith(address: string, ...args: string[]): ReturnType<typeof runMain>['ended'] {
    return runMain([out, ...args], { SPIFFE_ENDPOINT_SOCKET: address }).ended
  }
})

describe('what the demonstration is started with', () => {
  it.each([
    [[], {}, {}],
    [['f'], { SPIFFE_ENDPOINT_SOCKET: '', OPA_URL: '' }, { folder: 'f' }],
    [['--local-keys'], { SPIFFE_ENDPOINT_SOCKET: 'a' }, { localKeys: true }],
    [
      ['--users', '1,2,3', 'f'],
      { SPIFFE_ENDPOINT_SOCKET: 'a' },
      { folder: 'f', agent: 'a', users: [1, 2, 3] },
    ],
    [
      ['--spans', 's'],
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'c', OPA_URL: 'o' },
      { opa: 'o', collector: { endpoint: 'c', file: 's' } },
    ],
  ])('is understood: %j with %j', (argv, env, expected) => {
    const nothing = { folder: null, localKeys: false, agent: null, users: [], opa: null, collector: null }
    expect(parseArguments(argv, env)).toEqual({ ...nothing, ...expected })
  })

  it.each([
    [['--unknown'], {}, /Unknown option '--unknown'.*\nusage: /],
    [['--users'], {}, /\nusage: /],
    [['one', 'two'], {}, /^one folder is enough\nusage: /],
    [['--users', '1,2,3'], {}, /^--users is for an agent/],
    [['--users', '1,2,3', '--local-keys'], { SPIFFE_ENDPOINT_SOCKET: 'a' }, /^--users is for an agent/],
    [['--users', '1,2'], { SPIFFE_ENDPOINT_SOCKET: 'a' }, /^--users: expected 3 numeric user ids, got "1,2"/],
    [['--users', '1,2,x'], { SPIFFE_ENDPOINT_SOCKET: 'a' }, /^--users: expected 3 numeric user ids/],
    [['--spans', 's'], {}, /^--spans names the file that a Collector writes/],
    [[], { OTEL_EXPORTER_OTLP_ENDPOINT: 'c' }, /^--spans names the file that a Collector writes/],
    [['--users', '1,,3'], { SPIFFE_ENDPOINT_SOCKET: 'a' }, /^--users: expected 3 numeric user ids/],
  ])('is refused: %j with %j', (argv, env, message) => {
    expect(() => parseArguments(argv, env)).toThrow(Failure)
    expect(() => parseArguments(argv, env)).toThrow(message)
  })
})

it('K-PRINCIPAL local keys are listed by the operator’s names, not by what the services say of themselves', () => {
  const liar = { workloadId: 'spiffe://example.org/hop2', publicKey: { kty: 'OKP', crv: 'Ed25519', x: 'AA' } }
  expect(localKeys.trustIn(new Map([['hop1', liar]]))).toEqual({
    keys: { 'spiffe://example.org/hop1': [liar.publicKey] },
  })
  expect(() => localKeys.trustIn(new Map([['hop1', { ...liar, publicKey: null }]]))).toThrow(
    'hop1 has told no key',
  )
})

/** Whether this is root, and others may read the programs. */
function mayActAsOthers(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false
  const read = 'require("node:fs").readFileSync(process.argv[1])'
  const [user] = USERS
  return spawnSync(process.execPath, ['-e', read, HOP], { uid: user, gid: user }).status === 0
}
