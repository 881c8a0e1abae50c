import { expect, it } from 'vitest'
import { isComplete, itemOf } from '../src/audit/audit.js'
import type { Lab } from '../src/lab.js'
import { until } from '../src/supervisor/until.js'
import { endAndAudit, PATIENCE_MS, startLab } from './support/lab.js'
import { Stream } from './support/requests.js'

const MORE = 15
const LONG_MS = 180_000

it.each(['hop2', 'collector'] as const)(
  'proves every request that was answered while %s was restarted',
  async (name) => {
    const lab = await startLab()
    const daemon = name === 'collector' ? lab.collector : lab.services[name]
    const stream = new Stream(lab, 4)
    await answers(lab, stream)
    await daemon.stop()
    await daemon.start()
    await answers(lab, stream)
    await stream.stop()

    const { traces, summary } = await endAndAudit(lab)
    const proven = new Set(traces.filter(isComplete).map(itemOf))
    expect(stream.answered.filter((item) => !proven.has(item))).toEqual([])
    expect(summary.verdicts).toMatchObject({ broken: 0, incomplete: 0 })
    for (const failure of stream.failed) expect(failure).toMatch(/^50[0-9] /)
  },
  PATIENCE_MS,
)

/** Until some more requests were answered. */
async function answers(lab: Lab, stream: Stream): Promise<void> {
  const enough = stream.answered.length + MORE
  await until(
    () => (stream.answered.length >= enough ? true : undefined),
    { timeoutMs: LONG_MS, late: () => `nothing is answered any more: ${stream.failed.at(-1)}` },
    lab.watch,
  )
}
