import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FINDING_CODES } from '../src/finding.js'
import type { AuditSaid } from '../src/testing/audit-child.js'
import { type WrittenExport, writeExport } from '../src/testing/write-export.js'

const CHILD = fileURLToPath(new URL('../dist/testing/audit-child.js', import.meta.url))
const TRACES = 5_000
const EACH = 20

describe('an audit of 5,000 traces with 20 of every defect', () => {
  let folder: string
  let written: WrittenExport

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kest-planted-'))
    written = await writeExport(join(folder, 'spans'), TRACES, EACH)
    await writeFile(join(folder, 'keys.json'), JSON.stringify(written.keys))
  })

  afterAll(() => rm(folder, { recursive: true, force: true }))

  it.each([
    { kept: 'in memory', memory: 1_073_741_824 },
    { kept: 'in files', memory: 8_388_608 },
  ])(
    'K-AUDIT finds exactly what was planted, within bounds of memory, with spans kept $kept',
    async ({ memory }) => {
      const said = await audit(memory)
      expect(said).toMatchObject({ spans: written.spans, denials: written.denials })
      expect(new Map(said.counts)).toEqual(new Map(written.counts))
      expect(sorted(said.findings)).toEqual(sorted(written.traces))
    },
  )

  it('has planted every finding there is, but that of an audit without a list of roots', () => {
    expect([...written.counts.keys(), 'root', 'silent'].sort()).toEqual([...FINDING_CODES].sort())
  })

  /** In a process of its own, whose heap is three times what it needs: the memory of this one is the generator's. */
  async function audit(memory: number): Promise<AuditSaid> {
    const args = [
      '--max-old-space-size=96',
      CHILD,
      join(folder, 'spans'),
      join(folder, 'keys.json'),
      String(memory),
    ]
    const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 67_108_864 })
    return JSON.parse(stdout) as AuditSaid
  }
})

function sorted(
  findings: Iterable<readonly [traceId: string | null, codes: readonly string[]]>,
): Record<string, string[]> {
  return Object.fromEntries([...findings].map(([traceId, codes]) => [traceId, [...codes].sort()]))
}
