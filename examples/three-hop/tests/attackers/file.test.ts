import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type FindingCode, severityOf } from '@kest/audit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FileAttack, Target } from './file/attack.js'
import { FILE_ATTACKS } from './file/index.js'
import { outcomeText } from './outcome.js'
import { auditOf } from './support/audited.js'
import { assertFound } from './support/found.js'
import { linesOf, type Records, recordsOf } from './support/records.js'
import { createWorld, DOMAIN, type World } from './support/world.js'

const KEST = join(createRequire(import.meta.url).resolve('@kest/cli/package.json'), '../bin/kest.js')

let world: World
let honest: Records
let bundle: string

beforeAll(async () => {
  world = await createWorld()
  honest = await recordsOf(world)
  bundle = join(world.folder, 'bundle.json')
  await writeFile(bundle, JSON.stringify(world.bundle))
})
afterAll(() => world.close())

/** The file, as it is when the attack is done. */
async function fileAfter(tamper?: FileAttack['tamper']): Promise<string> {
  const target: Target = { records: structuredClone(honest), world, lines: null }
  tamper?.(target)
  const lines = linesOf(target.records)
  const file = join(await mkdtemp(join(world.folder, 'file-')), 'spans.jsonl')
  await writeFile(file, (target.lines?.(lines) ?? lines).join('\n'))
  return file
}

/** What `kest audit` says to somebody who has the bundle and knows who may begin lineage. */
async function kestAudit(file: string): Promise<{ code: number; findings: FindingCode[] }> {
  const options = ['--bundle', `${DOMAIN}=${bundle}`, '--roots', world.deployment, '--json']
  const child = spawn(process.execPath, [KEST, 'audit', file, ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [stdout] = await Promise.all([text(child.stdout), once(child, 'close')])
  const { summary } = JSON.parse(stdout.trimEnd().split('\n').at(-1) as string)
  return { code: child.exitCode as number, findings: Object.keys(summary.findings) as FindingCode[] }
}

it('K-AUDIT finds nothing in what honest services recorded', async () => {
  expect(await kestAudit(await fileAfter())).toEqual({ code: 0, findings: [] })
})

describe.each(FILE_ATTACKS)('K-AUDIT whoever may write the exported file: $title', ({ attacks }) => {
  const cells = attacks.map((one) => ({ ...one, title: `${one.attack}: ${outcomeText(one.outcome)}` }))

  it.each(cells)('$title', async ({ outcome, tamper }) => {
    const { general, traces } = await auditOf([await fileAfter(tamper)], world.bundle)
    const found = [...general, ...[...traces.values()].flatMap(({ findings }) => findings)]
    assertFound([...new Set(found.map(({ code }) => code))], outcome)
  })

  it('K-AUDIT kest audit says so, and its exit status', async () => {
    const [first] = attacks as [FileAttack]
    const { code, findings } = await kestAudit(await fileAfter(first.tamper))
    assertFound(findings, first.outcome)
    expect(code).toBe(findings.some((found) => severityOf(found) === 'error') ? 1 : 0)
  })
})
