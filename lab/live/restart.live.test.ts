import { expect, it } from 'vitest'
import { isComplete, itemOf } from '../src/audit/audit.js'
import type { Lab } from '../src/lab.js'
import { until } from '../src/supervisor/until.js'
import { endAndAudit, PATIENCE_MS, startLab } from './support/lab.js'
import { Stream } from './support/requests.js'

const MORE = 15
const LONG_MS = 60_000

it(
  'proves every request that was answered while a service was restarted',
  async () => {
    const lab = await startLab()
    const stream = new Stream(lab, 4)
    await answers(lab, stream)
    await lab.services.hop2.stop()
    await lab.services.hop2.start()
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

it(
  'loses no record while the Collector is restarted',
  async () => {
    const lab = await startLab()
    const stream = new Stream(lab, 4)
    await answers(lab, stream)
    await lab.collector.stop()
    await answers(lab, stream)
    await lab.collector.start()
    await answers(lab, stream)
    await stream.stop()
    expect(stream.failed).toEqual([])

    const { complete, traces, summary } = await endAndAudit(lab)
    expect(complete).toBe(stream.answered.length)
    expect(new Set(traces.filter(isComplete).map(itemOf))).toEqual(new Set(stream.answered))
    expect(summary.verdicts).toMatchObject({ broken: 0, incomplete: 0 })
  },
  PATIENCE_MS,
)

it(
  'names what is missing when the Collector was killed with records that it had accepted',
  async () => {
    const lab = await startLab()
    const stream = new Stream(lab, 4)
    await answers(lab, stream)
    await lab.collector.kill()
    await answers(lab, stream)
    await lab.collector.start()
    await answers(lab, stream)
    await stream.stop()
    expect(stream.failed).toEqual([])

    const { traces, summary } = await endAndAudit(lab)
    const proven = new Set(traces.filter(isComplete).map(itemOf))
    const missing = stream.answered.filter((item) => !proven.has(item))
    const named = (summary.findings.get('sequence-gap') ?? 0) + (summary.findings.get('incomplete') ?? 0)
    expect(named > 0).toBe(missing.length > 0)
    expect(summary.verdicts.broken).toBe(0)
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
