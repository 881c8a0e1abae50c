import type { AuditFinding } from '@kest/audit'
import { assertOptions, KestConfigError, type Limits, resolveLimits } from '@kest/core'
import { assertName } from '../fleet-options.js'
import type { KafkaOptions } from '../log/kafka-options.js'
import { type FleetTopics, topicsOf } from '../topics.js'

/** How the topics of a fleet are read, by whoever is none of it. */
export interface ReadOptions {
  readonly kafka: KafkaOptions
  /** Begins their names. Default `kest`. */
  readonly prefix?: string
  /** Bounds on one entry, as it was judged by. Default: those of `@kest/core`. */
  readonly limits?: Partial<Limits>
  /** Told of records that are none of these, and of what was gone before it was read: a finding `unreadable`, with its place. */
  readonly onUnreadable: (one: AuditFinding) => void
}

export interface ResolvedReadOptions {
  readonly kafka: KafkaOptions
  readonly topics: FleetTopics
  readonly limits: Limits
  readonly unreadable: (one: AuditFinding) => void
}

/** @throws {KestConfigError} for options that are unknown or wrong */
export function resolveReadOptions(what: string, options: ReadOptions): ResolvedReadOptions {
  assertOptions(what, options, ['kafka', 'prefix', 'limits', 'onUnreadable'])
  const { kafka, prefix = 'kest', limits, onUnreadable } = options
  assertName(what, 'prefix', prefix)
  if (typeof onUnreadable !== 'function')
    throw new KestConfigError(`${what}: onUnreadable: expected a function`)
  return { kafka, topics: topicsOf('', prefix), limits: resolveLimits(limits), unreadable: onUnreadable }
}
