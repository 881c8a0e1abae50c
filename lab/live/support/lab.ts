import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TraceReport } from '@kest/audit'
import { onTestFinished } from 'vitest'
import { type Audited, auditSpans } from '../../src/audit/audit.js'
import { configurationFile } from '../../src/files.js'
import { Lab, type LabOptions } from '../../src/lab.js'
import { Watch } from '../../src/supervisor/watch.js'

/** How long a test of the lab may take: servers start, and the machine may be busy. Milliseconds. */
export const PATIENCE_MS = 600_000

/** A lab of the test's own, gone with it. Where a server is missing the test fails, and says so. */
export async function startLab(options: Partial<LabOptions> = {}): Promise<Lab> {
  const watch = new Watch()
  onTestFinished(() => watch.end())
  const lab = await Lab.start(
    {
      bin: null,
      identities: 'embedded',
      ttlSeconds: 3600,
      policies: configurationFile('opa'),
      inProcessPolicy: false,
      out: await temporaryFolder(),
      announce: () => {},
      progress: () => {},
      ...options,
    },
    watch,
  )
  onTestFinished(() => lab.close())
  return lab
}

/** Ends a lab in good order, and proves what its spans say. */
export async function endAndAudit(
  lab: Lab,
  wanted: (trace: TraceReport) => boolean = () => true,
): Promise<Audited> {
  const bundle = await lab.identities.bundle()
  await lab.stop()
  return await auditSpans(lab.spansFile, bundle, wanted)
}

/** The lab's policies, to be changed. */
export async function copiedPolicies(): Promise<string> {
  const folder = join(await temporaryFolder(), 'opa')
  await cp(configurationFile('opa'), folder, { recursive: true })
  return folder
}

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'kest-live-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}
