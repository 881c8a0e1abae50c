import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { isComplete, itemOf } from '../src/audit/audit.js'
import { ask } from '../src/client/requests.js'
import { endAndAudit, PATIENCE_MS, startLab } from './support/lab.js'
import { Stream } from './support/requests.js'

const ENOUGH = 100
const ITEMS = ['embargoed', 'sealed'] as const

it(
  'K-AUDIT proves every request that was answered, and of a denied one what was not denied',
  async () => {
    const lab = await startLab()
    const stream = new Stream(lab, 8)
    for (const item of ITEMS) await ask(lab.urls.hop1, item, lab.watch)
    while (stream.answered.length < ENOUGH) await ask(lab.urls.hop1, 'embargoed', lab.watch)
    await stream.stop()
    expect(stream.failed).toEqual([])

    const { complete, summary, traces } = await endAndAudit(lab)
    expect(complete).toBe(stream.answered.length)
    const proven = traces.filter(isComplete).map(itemOf)
    expect(new Set(proven)).toEqual(new Set(stream.answered))
    expect(summary.verdicts).toMatchObject({ broken: 0, incomplete: 0 })
    expect([...summary.findings.keys()]).toEqual([])

    // Nothing of the embargoed item was done. Of the sealed one what lay before hop3 was, and is on record.
    const principalsOf = (item: string) =>
      traces
        .filter((trace) => itemOf(trace) === item)
        .map(({ entries }) => entries.map(({ service }) => service))
    expect(principalsOf('embargoed')).toEqual([])
    expect(principalsOf('sealed')).toEqual([['hop1', 'hop2']])

    expect(denialsIn(lab.logOf('hop1'))).toContainEqual(
      expect.objectContaining({
        workload_id: 'spiffe://example.org/hop1',
        policies: ['enterprise/no_embargoed_item'],
        entry_id: expect.any(String),
      }),
    )
    expect(denialsIn(lab.logOf('hop3'))).toEqual([
      expect.objectContaining({
        workload_id: 'spiffe://example.org/hop3',
        policies: ['hop3/two_hops_away', 'hop3/not_sealed'],
      }),
    ])
    const denied = traces.filter(({ denials }) => denials.some(({ service }) => service === 'hop3'))
    expect(denied.map(itemOf)).toEqual(['sealed'])
  },
  PATIENCE_MS,
)

/** NF-OBS-01: what a service says of what it refused. */
function denialsIn(logFile: string): unknown[] {
  return readFileSync(logFile, 'utf8')
    .split('\n')
    .filter((line) => line.includes('ERR_KEST_DENIED'))
    .map((line) => JSON.parse(line))
}
