import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { beforeEach, describe, expect, it } from 'vitest'
import { Programs } from '../src/supervisor/programs.js'
import { isAlive, until } from '../tests/support/processes.js'
import { PATIENCE_MS, temporaryFolder } from './support/lab.js'
import { type Run, runMain } from './support/run-main.js'

const RESULT = `{
  "service": "hop1",
  "next": {
    "service": "hop2",
    "next": {
      "service": "hop3",
      "status": "end_of_chain"
    }
  }
}`
const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}'
const kest = join(dirname(createRequire(import.meta.url).resolve('@kest/cli/package.json')), 'bin/kest.js')

const noSpire = new Programs(null).findAll('spire-server', 'spire-agent') === null
const isRoot = process.getuid?.() === 0
const why = noSpire
  ? ' (DID NOT RUN: spire-server and spire-agent are not on PATH)'
  : isRoot
    ? ''
    : ' (DID NOT RUN: not root)'
if (why !== '') console.warn(`The lab with SPIRE${why}`)

let out: string
let temporary: string
let env: NodeJS.ProcessEnv

beforeEach(async () => {
  out = await temporaryFolder()
  temporary = await temporaryFolder()
  // The services' users go through it to their sockets.
  await chmod(temporary, 0o711)
  env = { ...process.env, TMPDIR: temporary }
})

describe('npm run lab', { timeout: PATIENCE_MS }, () => {
  it.each([
    ['OPA and the embedded Workload API', ['--identities', 'embedded']],
    ['policies in process', ['--identities', 'embedded', '--in-process-policy']],
  ])('shows the trusted chain with %s', async (_, args) => {
    expectTheChain(await runMain(['--out', out, ...args], env).ended)
    expect(readdirSync(temporary)).toEqual([])
    await expectEvidence()
  })

  it('K-FLEET shows it with Kafka, where two auditors come to the verdicts of the file', async () => {
    const args = ['--identities', 'embedded', '--kafka', '--requests', '20']
    const run = await runMain(['--out', out, ...args], env).ended
    expectTheChain(run)
    // The one that is shown, 20 of the load, and two that were refused where something had been done.
    expect(run.stdout).toContain('Two auditors on Kafka have judged 23 traces, each as the file says.')
    expect(readdirSync(temporary)).toEqual([])
  })

  it.skipIf(why !== '')(`shows it with SPIRE${why}`, async () => {
    const run = await runMain(['--out', out, '--identities', 'spire'], env).ended
    expectTheChain(run)
    expect(run.stdout).toMatch(/^Identities: SVIDs of SPIRE/)
    expect(readdirSync(temporary)).toEqual([])
    await expectEvidence()
  })

  it('runs twice at once on one machine', async () => {
    const outs = [out, await temporaryFolder()]
    const runs = await Promise.all(
      outs.map((folder) => runMain(['--out', folder, '--identities', 'embedded', '--json'], env).ended),
    )
    const reports = runs.map(({ stdout }) => JSON.parse(stdout))
    expect(reports).toMatchObject([{ ok: true }, { ok: true }])
    const urls = reports.flatMap(({ places }) => places.map(({ url }: { url: string }) => url))
    expect(new Set(urls).size).toBe(urls.length)
    expect(readdirSync(temporary)).toEqual([])
  })

  it('keeps it running until it is interrupted, and leaves nothing behind', async () => {
    const run = runMain(['--out', out, '--identities', 'embedded', '--keep'], env)
    await until('it says that it keeps running', () => run.stdout().includes('All of it keeps running'))
    const [, hop1] = /^hop1: (\S+), process/m.exec(run.stdout()) ?? []
    const response = await fetch(`${hop1}/?item=later`)
    expect([response.status, await response.text()]).toEqual([200, JSON.stringify(JSON.parse(RESULT))])
    // What somebody takes away is missed, and nothing else.
    process.kill(pidOf('opa', run.stdout()), 'SIGKILL')
    await until('it is told', () => run.stdout().includes('opa ended early (SIGKILL)'))
    expect((await fetch(`${hop1}/?item=denied`)).status).toBe(503)
    process.kill(run.pid, 'SIGINT')
    expect(await run.ended).toMatchObject({ code: 0 })
    expect(readdirSync(temporary)).toEqual([])
    await expect(fetch(String(hop1))).rejects.toThrow()
    // What was asked meanwhile is in the trail, too.
    expect(readFileSync(join(out, 'spans.jsonl'), 'utf8')).toContain('kest.signature')
  })

  it('exits 1 when a server dies while it is needed, says so, and leaves nothing behind', async () => {
    const run = runMain(['--out', out, '--identities', 'embedded', '--requests', '100000'], env)
    await until('it is under load', () => run.stdout().includes('A request to hop3'))
    process.kill(pidOf('collector', run.stdout()), 'SIGKILL')
    const { code, stdout, stderr } = await run.ended
    expect(stderr).toContain('lab: collector ended early (SIGKILL)')
    expect(stdout).not.toContain('SUCCESS')
    expect(code).toBe(1)
    expect(readdirSync(temporary)).toEqual([])
    // What it has left behind in its folder does not matter to the next one.
    expectTheChain(await runMain(['--out', out, '--identities', 'embedded'], env).ended)
  })

  it('exits by the convention when it is interrupted while it starts, and leaves nothing behind', async () => {
    const run = runMain(['--out', out, '--identities', 'embedded'], env)
    await until('it starts', () => readdirSync(temporary).length > 0)
    process.kill(run.pid, 'SIGTERM')
    const { code, stderr } = await run.ended
    expect(stderr).toContain('stopped by SIGTERM')
    expect(code).toBe(143)
    expect(readdirSync(temporary)).toEqual([])
  })

  it('leaves nothing behind when it is killed', async () => {
    const run = runMain(['--out', out, '--identities', 'embedded', '--keep'], env)
    await until('it says that it keeps running', () => run.stdout().includes('All of it keeps running'))
    const [, hop1] = /^hop1: (\S+), process/m.exec(run.stdout()) ?? []
    process.kill(run.pid, 'SIGKILL')
    await run.ended
    await until('its folder is gone', () => readdirSync(temporary).length === 0)
    expect(isAlive(run.pid)).toBe(false)
    await expect(fetch(String(hop1))).rejects.toThrow()
  })

  it('says what is missing, and where to have it from', async () => {
    const { code, stderr } = await runMain(['--out', out], { ...env, PATH: temporary }).ended
    expect(stderr).toMatch(/opa and otelcol: not on PATH.*scripts\/live-tools\.sh/)
    expect(code).toBe(2)
  })
})

function expectTheChain({ code, stdout, stderr }: Run): void {
  expect(code, stderr).toBe(0)
  expect(stdout).toMatch(/^Identities: /)
  expect(stdout.split('\n\n')).toContain(RESULT)
  const lines = stdout.split('\n')
  expect(lines).toEqual(
    expect.arrayContaining([
      'A request for an embargoed item answers 403 ERR_KEST_DENIED',
      'A request for an item that hop3 keeps sealed answers 502 ERR_KEST_DENIED',
      'A request to hop2, which comes without lineage, answers 403 ERR_KEST_LINEAGE_MISSING',
      'A request to hop3, which comes without lineage, answers 403 ERR_KEST_LINEAGE_MISSING',
    ]),
  )
  const header = lines.findIndex((line) => /^Service +\| Entry ID +\| Parent Hash +\| signature$/.test(line))
  const rows = lines.slice(header + 2, header + 5).map((line) => line.split(' | ').map((cell) => cell.trim()))
  expect(rows.map(([service]) => service)).toEqual(['hop1', 'hop2', 'hop3'])
  for (const [, id] of rows) expect(id).toMatch(new RegExp(`^${UUID}$`))
  expect(rows[0]?.[2]).toBe('0')
  expect(lines.filter((line) => line === 'SUCCESS: Distributed Merkle Lineage Verified.')).toHaveLength(1)
  const failed = lines.filter((line) => line.startsWith('FAILED: '))
  expect(failed.map((line) => /ERR_KEST_\w+/.exec(line)?.[0])).toEqual([
    'ERR_KEST_SIGNATURE',
    'ERR_KEST_PARENT_UNKNOWN',
    'ERR_KEST_TIP',
  ])
}

function pidOf(name: string, stdout: string): number {
  return Number(new RegExp(`^${name}: \\S+, process (\\d+)$`, 'm').exec(stdout)?.[1])
}

/** Somebody else checks it, later. */
async function expectEvidence(): Promise<void> {
  const args = ['verify', join(out, 'evidence.json'), '--trust', join(out, 'trust.json'), '--json']
  const { stdout } = await promisify(execFile)(process.execPath, [kest, ...args])
  expect(JSON.parse(stdout)).toMatchObject({ ok: true, anchored: true, entries: 3 })
}
