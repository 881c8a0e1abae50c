import { assertOptions, KestConfigError } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'

/** A workload that should be there (K-ROSTER). */
export interface RosterWorkload {
  /** As it signs: its SPIFFE ID, mostly. */
  readonly workload: string
  /** How old its last verified entry, or signed denial, may be; milliseconds. */
  readonly withinMs: number
}

/** Who should be there, and when it is looked. */
export interface RosterOptions {
  readonly workloads: readonly RosterWorkload[]
  /** The end of all windows, milliseconds since the epoch. Default: when the first trace is judged. */
  readonly untilMs?: number
}

const MAX_SECONDS = 366 * 86_400
const MAX_WORKLOADS = 100_000

/** @throws {KestConfigError} for workloads that are none, or named twice */
export function resolveRoster(workloads: unknown): readonly RosterWorkload[] {
  if (!Array.isArray(workloads) || workloads.length === 0 || workloads.length > MAX_WORKLOADS)
    throw new KestConfigError(`roster: workloads: expected a list of 1 to ${MAX_WORKLOADS}`)
  const seen = new Set<string>()
  for (const [n, one] of workloads.entries()) {
    if (typeof one !== 'object' || one === null)
      throw new KestConfigError(`roster: workloads[${n}]: expected an object`)
    assertOptions(`roster: workloads[${n}]`, one, ['workload', 'withinMs'])
    const { workload, withinMs } = one as RosterWorkload
    if (typeof workload !== 'string' || workload === '')
      throw new KestConfigError(`roster: workloads[${n}]: workload: expected a name`)
    if (!Number.isSafeInteger(withinMs) || withinMs < 1)
      throw new KestConfigError(`roster: workloads[${n}]: withinMs: expected milliseconds`)
    if (seen.has(workload)) throw new KestConfigError(`roster: "${workload}" is named more than once`)
    seen.add(workload)
  }
  return workloads.map(({ workload, withinMs }) => Object.freeze({ workload, withinMs }))
}

/**
 * Reads a list of workloads: `{"within_seconds": 3600, "workloads": ["spiffe://…", {"workload": "spiffe://…", "within_seconds": 60}]}`.
 *
 * @throws {KestConfigError} for what is none; the message says where
 */
export function parseRoster(text: string): readonly RosterWorkload[] {
  let file: unknown
  try {
    file = JSON.parse(text)
  } catch (cause) {
    throw new KestConfigError(`roster: it is not JSON: ${(cause as Error).message}`, { cause })
  }
  const { within_seconds: within, workloads } = membersOf(file, 'the file', ['within_seconds', 'workloads'])
  if (within !== undefined) secondsOf(within, 'within_seconds')
  if (!Array.isArray(workloads)) throw new KestConfigError('roster: workloads: expected a list')
  return resolveRoster(
    workloads.map((one: unknown, n) => {
      const place = `workloads[${n}]`
      const own =
        typeof one === 'string' ? { workload: one } : membersOf(one, place, ['workload', 'within_seconds'])
      const { workload, within_seconds: seconds = within } = own as {
        workload?: unknown
        within_seconds?: unknown
      }
      if (seconds === undefined)
        throw new KestConfigError(`roster: ${place}: within_seconds: neither it nor the file has any`)
      return { workload, withinMs: 1_000 * secondsOf(seconds, `${place}: within_seconds`) }
    }),
  )
}

function membersOf(
  value: unknown,
  place: string,
  known: readonly string[],
): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new KestConfigError(`roster: ${place}: expected an object`)
  const strange = Object.keys(value).find((name) => !known.includes(name))
  if (strange !== undefined)
    throw new KestConfigError(`roster: ${place}: unknown "${strange}"; there are: ${known.join(', ')}`)
  return value as Readonly<Record<string, unknown>>
}

function secondsOf(value: unknown, place: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= MAX_SECONDS)
    return value as number
  throw new KestConfigError(`roster: ${place}: expected seconds, from 1 to ${MAX_SECONDS}`)
}

/** @param lastMs when its last was made; `null`: there is none */
export function silent({ workload, withinMs }: RosterWorkload, lastMs: number | null): AuditFinding {
  const last =
    lastMs === null ? 'there is none of before, either' : `its last is of ${new Date(lastMs).toISOString()}`
  const message = `${workload}: no verified entry, and no signed denial, is of its last ${withinMs / 1_000} s; ${last}`
  return finding('silent', message)
}

/** Who of a list has shown itself in time (K-ROSTER). */
export class Roster {
  readonly #workloads: readonly RosterWorkload[]
  readonly #last: Map<string, number | null>
  #untilMs: number | undefined

  /** @throws {KestConfigError} for options that are unknown or wrong */
  constructor(options: RosterOptions) {
    assertOptions('roster', options, ['workloads', 'untilMs'])
    const { workloads, untilMs } = options
    this.#workloads = resolveRoster(workloads)
    this.#last = new Map(this.#workloads.map(({ workload }) => [workload, null]))
    if (untilMs !== undefined && (!Number.isSafeInteger(untilMs) || untilMs < 0))
      throw new KestConfigError('roster: untilMs: expected milliseconds since the epoch')
    this.#untilMs = untilMs
  }

  /** Unless it is given, that of the first time that anybody asks: what is judged may have been received for hours. */
  get untilMs(): number {
    this.#untilMs ??= Date.now()
    return this.#untilMs
  }

  /** @param timestampMs no later than it is looked; what clocks differ by counts as of then */
  see(principal: string, timestampMs: number): void {
    const last = this.#last.get(principal)
    if (last === undefined) return
    const at = Math.min(timestampMs, this.untilMs)
    this.#last.set(principal, Math.max(last ?? at, at))
  }

  /** One for each that is silent, in the order of the list. */
  findings(): AuditFinding[] {
    return this.#workloads.flatMap((one) => {
      const last = this.#last.get(one.workload) ?? null
      return last !== null && last >= this.untilMs - one.withinMs ? [] : [silent(one, last)]
    })
  }
}
