import type { TraceReport } from './audited-entry.js'

/**
 * Which traces are reported; all of these must be met. Default: every trace. One with a finding of severity `error` meets `since`
 * and `service` whatever they are: what is missing of it, or does not hold, could be what is looked for.
 */
export interface TraceSelection {
  /** That of this id alone. */
  readonly trace?: string
  /** Those with an entry of their own of this time or later, milliseconds since the epoch; and those without any. */
  readonly since?: number
  /** Those with an entry of their own by this principal, or service: the path of its SPIFFE ID, in whatever trust domain. */
  readonly service?: string
}

export function isSelected({ entries, findings }: TraceReport, { since, service }: TraceSelection): boolean {
  if (findings.some(({ severity }) => severity === 'error')) return true
  const own = entries.filter(({ source }) => source === 'span')
  return (
    (service === undefined || own.some((one) => one.service === service || one.principal === service)) &&
    (since === undefined || own.length === 0 || own.some(({ timestampMs }) => timestampMs >= since))
  )
}
