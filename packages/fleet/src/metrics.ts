import { type Attributes, type MeterProvider, metrics, type ObservableResult } from '@opentelemetry/api'
import type { FleetStage } from './fleet-options.js'
import type { VerdictRecord } from './judge/verdict-record.js'
import type { FleetFinding } from './stage/finding-record.js'
import type { Progress } from './stage/stage.js'

const SCOPE = 'kest.fleet'

/** How far each stage is, by its partitions. */
export type StageProgress = () => Iterable<
  readonly [stage: FleetStage, partition: number, progress: Progress]
>

/**
 * What an operator watches: `kest.fleet.verdicts` (by `kest.verdict`), `kest.fleet.findings` (of no trace, by `kest.finding`),
 * `kest.fleet.verdict.delay` (seconds from the last span of a trace to its verdict, by the time of the log), and of each partition
 * that is this process's, `kest.fleet.lag` (records that are not read, by `kest.stage`) and `kest.fleet.open` (traces that are open).
 */
export class FleetMetrics {
  readonly #verdicts
  readonly #findings
  readonly #delay
  readonly #stop: () => void

  constructor(provider: MeterProvider = metrics.getMeterProvider(), progress: StageProgress = () => []) {
    const meter = provider.getMeter(SCOPE)
    this.#verdicts = meter.createCounter('kest.fleet.verdicts', {
      description: 'Verdicts that were written',
      unit: '{verdict}',
    })
    this.#findings = meter.createCounter('kest.fleet.findings', {
      description: 'Findings that are of no trace',
      unit: '{finding}',
    })
    this.#delay = meter.createHistogram('kest.fleet.verdict.delay', {
      description: 'From the last span of a trace to its verdict',
      unit: 's',
      advice: { explicitBucketBoundaries: [1, 2, 5, 10, 20, 30, 40, 60, 120, 300, 600] },
    })
    const lag = meter.createObservableGauge('kest.fleet.lag', {
      description: 'Records of a partition that are not read yet',
      unit: '{record}',
    })
    const open = meter.createObservableGauge('kest.fleet.open', {
      description: 'Traces of a partition that are open',
      unit: '{trace}',
    })
    const observe = (of: (one: Progress) => number | null) => (result: ObservableResult<Attributes>) => {
      for (const [stage, partition, one] of progress()) {
        const value = of(one)
        const attributes = { 'kest.stage': stage, 'kest.partition': partition }
        if (value !== null) result.observe(value, attributes)
      }
    }
    const [seeLag, seeOpen] = [observe((one) => one.lag), observe((one) => one.open)]
    lag.addCallback(seeLag)
    open.addCallback(seeOpen)
    this.#stop = () => {
      lag.removeCallback(seeLag)
      open.removeCallback(seeOpen)
    }
  }

  judged({ verdict }: Pick<VerdictRecord, 'verdict'>, delayMs: number | null): void {
    this.#verdicts.add(1, { 'kest.verdict': verdict })
    if (delayMs !== null) this.#delay.record(Math.max(0, delayMs) / 1_000)
  }

  found({ code, times, withdrawn }: Pick<FleetFinding, 'code' | 'times' | 'withdrawn'>): void {
    if (!withdrawn) this.#findings.add(times, { 'kest.finding': code })
  }

  /** Nothing is observed any more. */
  close(): void {
    this.#stop()
  }
}
