import type { OtlpEncoding, SettlingOptions, TraceJudgeOptions } from '@kest/audit'
import { type RosterWorkload, resolveRoster, resolveSettling } from '@kest/audit'
import { assertOptions, KestConfigError } from '@kest/core'
import type { MeterProvider } from '@opentelemetry/api'
import { MAX_TRACE_SPANS } from './judge/positions.js'
import type { VerdictRecord } from './judge/verdict-record.js'
import type { KafkaOptions } from './log/kafka-options.js'
import type { FleetFinding } from './stage/finding-record.js'
import { type FleetTopics, topicsOf } from './topics.js'

/** A part of the work, which has a consumer group of its own. */
export type FleetStage = 'split' | 'judge' | 'sequences' | 'roster'

export interface FleetOptions {
  readonly kafka: KafkaOptions
  /** How traces are judged: as by `Audit`. */
  readonly judge: TraceJudgeOptions
  /** Where the Collector's `kafka` exporter writes. Default `otlp_spans`. */
  readonly topic?: string
  /** Begins the names of the other topics: `<prefix>-entries`, `-verdicts`, `-verdict-log`, `-facts`, `-state` and `-findings`. Default `kest`. */
  readonly prefix?: string
  /** Begins the names of the consumer groups: `<group>-<stage>`. Default `kest-audit`. */
  readonly group?: string
  /** How spans are written: `protobuf` (`otlp_proto`) or `json` (`otlp_json`). Default: each record as it begins. */
  readonly encoding?: OtlpEncoding
  /** What this process does. Default: everything; of a roster, where one is given. */
  readonly stages?: readonly FleetStage[]
  /** Which workloads should show themselves, and how often (K-ROSTER): the same to all processes of the stage `roster`. Default: none. */
  readonly roster?: readonly RosterWorkload[]
  /** When a trace is judged. */
  readonly settling?: SettlingOptions
  /** Spans of one trace that are judged; of a larger one no more are taken, and that is a finding `limit`. Default 20,000; at most 1,000,000. */
  readonly maxTraceSpans?: number
  /**
   * How much older than a trace the entries of other traces may be that it builds on, and how far back an `entry_id` is looked for at least
   * by who has taken over; milliseconds. Default 3,600,000.
   */
  readonly lookBackMs?: number
  /** Whose instruments count. Default: the global one when it starts. */
  readonly meterProvider?: MeterProvider
  /** Told of each verdict once it is written. */
  readonly onVerdict?: (verdict: VerdictRecord) => void
  /** Told of findings that are of no trace, and of those that stand no more, once they are written. */
  readonly onFinding?: (finding: FleetFinding) => void
  /** Told of what failed and is tried again: a broker that restarts. */
  readonly onRetry?: (error: Error) => void
}

const KNOWN = [
  'kafka',
  'judge',
  'topic',
  'prefix',
  'group',
  'encoding',
  'stages',
  'roster',
  'settling',
  'maxTraceSpans',
  'lookBackMs',
  'meterProvider',
  'onVerdict',
  'onFinding',
  'onRetry',
] as const satisfies readonly (keyof FleetOptions)[]

export const STAGES: readonly FleetStage[] = ['split', 'judge', 'sequences', 'roster']
const NAME = /^[\w.-]{1,200}$/

export interface ResolvedFleetOptions {
  readonly topics: FleetTopics
  readonly group: string
  readonly encoding: OtlpEncoding | null
  readonly stages: readonly FleetStage[]
  readonly roster: readonly RosterWorkload[]
  readonly settling: Required<SettlingOptions>
  readonly maxTraceSpans: number
  readonly lookBackMs: number
  readonly onVerdict: (verdict: VerdictRecord) => void
  readonly onFinding: (finding: FleetFinding) => void
  readonly onRetry: (error: Error) => void
}

/** @throws {KestConfigError} for options that are unknown or wrong */
export function resolveFleetOptions(options: FleetOptions): ResolvedFleetOptions {
  assertOptions('fleet', options, KNOWN)
  const { topic = 'otlp_spans', prefix = 'kest', group = 'kest-audit', encoding = null } = options
  const {
    stages = STAGES.filter((stage) => stage !== 'roster' || options.roster !== undefined),
    settling = {},
    maxTraceSpans = 20_000,
    lookBackMs = 3_600_000,
  } = options
  for (const [name, value] of Object.entries({ topic, prefix, group })) assertName('fleet', name, value)
  if (!Number.isSafeInteger(lookBackMs) || lookBackMs < 1)
    throw new KestConfigError(`fleet: lookBackMs: expected a positive integer, got ${String(lookBackMs)}`)
  if (!Number.isSafeInteger(maxTraceSpans) || maxTraceSpans < 1 || maxTraceSpans > MAX_TRACE_SPANS)
    throw new KestConfigError(
      `fleet: maxTraceSpans: expected an integer from 1 to ${MAX_TRACE_SPANS}, got ${String(maxTraceSpans)}`,
    )
  if (encoding !== null && encoding !== 'json' && encoding !== 'protobuf')
    throw new KestConfigError('fleet: encoding: expected "json" or "protobuf"')
  if (!Array.isArray(stages) || stages.length === 0 || !stages.every((stage) => STAGES.includes(stage)))
    throw new KestConfigError(`fleet: stages: expected some of ${STAGES.join(', ')}`)
  if (options.roster === undefined && stages.includes('roster'))
    throw new KestConfigError('fleet: roster: the stage roster needs one')
  for (const name of ['onVerdict', 'onFinding', 'onRetry'] as const) {
    if (options[name] !== undefined && typeof options[name] !== 'function')
      throw new KestConfigError(`fleet: ${name}: expected a function`)
  }
  const ignore = (): void => {}
  const { onVerdict = ignore, onFinding = ignore, onRetry = ignore } = options
  return {
    topics: topicsOf(topic, prefix),
    group,
    encoding,
    stages: [...stages],
    roster: options.roster === undefined ? [] : resolveRoster(options.roster),
    settling: resolveSettling(settling),
    maxTraceSpans,
    lookBackMs,
    onVerdict,
    onFinding,
    onRetry,
  }
}

/** @throws {KestConfigError} for what Kafka does not take for a name */
export function assertName(what: string, option: string, value: unknown): void {
  if (typeof value !== 'string' || !NAME.test(value))
    throw new KestConfigError(`${what}: ${option}: expected letters, digits, ".", "_" and "-"`)
}
