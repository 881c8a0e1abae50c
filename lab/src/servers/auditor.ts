import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Verdict } from '@kest/audit'
import { TRUST_DOMAIN } from '../chain.js'
import { configurationFile } from '../files.js'
import { Daemon } from '../supervisor/daemon.js'
import type { Supervisor } from '../supervisor/supervisor.js'
import { PARTITIONS } from './kafka.js'

/** Nobody waits for services far away. */
const SETTLE_SECONDS = 2

export interface AuditorOptions {
  readonly name: string
  /** Bootstrap address. */
  readonly kafka: string
  /** Of the trust domain, a SPIFFE bundle document. */
  readonly bundleFile: string
}

/** What an auditor is run with, here and in `docker/compose.kafka.yaml`. */
export function auditorArguments(
  kafka: string,
  bundleFile: string,
  rootsFile: string,
  settleSeconds: number,
): readonly string[] {
  return [
    'audit',
    `--kafka=${kafka}`,
    `--trust=${TRUST_DOMAIN}=${bundleFile}`,
    `--roots=${rootsFile}`,
    `--settle=${settleSeconds}`,
    `--create-topics=${PARTITIONS}`,
    '--json',
  ]
}

/** `kest audit --kafka`, as it runs beside others of its kind. What it prints is in its log. */
export function createAuditor(supervisor: Supervisor, { name, kafka, bundleFile }: AuditorOptions): Daemon {
  const kest = join(dirname(createRequire(import.meta.url).resolve('@kest/cli/package.json')), 'bin/kest.js')
  return new Daemon(
    {
      name,
      command: process.execPath,
      args: [
        kest,
        ...auditorArguments(kafka, bundleFile, configurationFile('kest/deployment.yaml'), SETTLE_SECONDS),
      ],
      async check() {
        const said = await readFile(supervisor.logOf(name), 'utf8')
        if (!said.includes('judging what comes to')) throw new Error(`${name} has not begun`)
      },
    },
    supervisor,
  )
}

interface VerdictLine {
  readonly trace_id?: string | null
  readonly verdict?: Verdict
  readonly fleet?: { readonly judged_at: number }
}

/** The last verdict on each trace, by what auditors have printed. */
export async function verdictsIn(logs: readonly string[]): Promise<ReadonlyMap<string, Verdict>> {
  const last = new Map<string, { readonly verdict: Verdict; readonly at: number }>()
  for (const log of logs) {
    const text = await readFile(log, 'utf8')
    // The last line may be half written.
    for (const line of text.slice(0, text.lastIndexOf('\n') + 1).split('\n')) {
      if (!line.startsWith('{')) continue
      const { trace_id: id, verdict, fleet } = JSON.parse(line) as VerdictLine
      if (typeof id !== 'string' || verdict === undefined || fleet === undefined) continue
      const known = last.get(id)
      if (known === undefined || known.at <= fleet.judged_at) last.set(id, { verdict, at: fleet.judged_at })
    }
  }
  return new Map([...last].map(([id, { verdict }]) => [id, verdict]))
}
