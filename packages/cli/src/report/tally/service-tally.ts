import type { AuditedEntry, ObservedRow, TraceReport } from '@kest/audit'
import { NameCount, Range } from './counts.js'
import type { Examples } from './examples.js'

/** Services and calls that are told apart. Only who can sign makes any. */
const MAX_SERVICES = 1_000
const MAX_CALLS = 5_000

/** A workload that has signed something, an entry or a denial. */
export interface Service {
  readonly principal: string
  /** Entries that it has signed. */
  entries: number
  /** Of these, those of which all that they build on is not proven. */
  unproven: number
  /** How often lineage began with it. */
  begun: number
  /** Effective trust of what is verified. */
  readonly trust: Range
  readonly taints: NameCount
  /** As it has signed that it refused, or as unsigned spans say. */
  refused: number
  /** Refusals that were only observed. */
  observed: number
}

/** One workload has called another: an entry of this builds on one of that. */
export interface Call {
  readonly from: Service
  readonly to: Service
  calls: number
  unproven: number
  readonly trust: Range
  readonly taints: NameCount
  refused: number
  observed: number
  /** By which policies, or because of what. */
  readonly policies: NameCount
  page: string | null
}

/** Who called whom, by what is signed. What does not hold is nobody's. */
export class ServiceTally {
  readonly #services = new Map<string, Service>()
  readonly #calls = new Map<Service, Map<Service, Call>>()
  readonly #pages: Examples
  #callCount = 0
  /** Entries and calls of services, or between services, for which there was no room. */
  leftOut = 0

  constructor(pages: Examples) {
    this.#pages = pages
  }

  add(report: TraceReport): void {
    const signers = new Map<string, Service>()
    for (const one of report.entries) {
      if (one.status === 'failed') continue
      const service = this.know(one.principal)
      if (service === undefined) {
        this.leftOut++
        continue
      }
      signers.set(one.hash, service)
      // What is of another trace is counted there.
      if (one.source === 'foreign') continue
      count(service, one)
      if (one.parents.length === 0) service.begun++
      const callers = new Set(one.parents.flatMap((parent) => signers.get(parent) ?? []))
      callers.delete(service)
      for (const from of callers) this.#addCall(from, service, one, report)
    }
  }

  /** What was refused, as somebody says: of services alone that are known by what they have signed. */
  refuse(from: string | null, to: string, times: number, why: string, kind: 'refused' | 'observed'): void {
    const service = this.#services.get(to)
    if (service === undefined) return
    const caller = from === null || from === to ? undefined : this.#services.get(from)
    const call = caller && (this.#calls.get(caller)?.get(service) ?? this.#newCall(caller, service))
    if (call === undefined) return
    call[kind] += times
    call.policies.add(why, times)
  }

  /** What a service has refused of anybody. */
  refuseAt(to: string, times: number, kind: 'refused' | 'observed'): void {
    const service = this.#services.get(to)
    if (service !== undefined) service[kind] += times
  }

  observe(rows: readonly ObservedRow[]): void {
    for (const { workload, tier, policy, refused, callers } of rows) {
      const times = [...refused.values()].reduce((sum, one) => sum + one, 0)
      if (times === 0) continue
      this.refuseAt(workload, times, 'observed')
      for (const { caller, refused: of } of callers)
        this.refuse(caller, workload, of, policy ?? tier, 'observed')
    }
  }

  /** Those with the most entries first. */
  get services(): readonly Service[] {
    return [...this.#services.values()].sort(
      (a, b) => b.entries - a.entries || (a.principal < b.principal ? -1 : 1),
    )
  }

  /** The most frequent first. */
  get calls(): readonly Call[] {
    return [...this.#calls.values()]
      .flatMap((some) => [...some.values()])
      .sort((a, b) => b.calls - a.calls || b.refused + b.observed - a.refused - a.observed)
  }

  /** @returns `undefined` where there is no room for another */
  know(principal: string): Service | undefined {
    const known = this.#services.get(principal)
    if (known !== undefined || this.#services.size >= MAX_SERVICES) return known
    const service: Service = {
      principal,
      entries: 0,
      unproven: 0,
      begun: 0,
      trust: new Range(),
      taints: new NameCount(),
      refused: 0,
      observed: 0,
    }
    this.#services.set(principal, service)
    return service
  }

  #addCall(from: Service, to: Service, one: AuditedEntry, report: TraceReport): void {
    const call = this.#calls.get(from)?.get(to) ?? this.#newCall(from, to)
    if (call === undefined) {
      this.leftOut++
      return
    }
    call.calls++
    if (one.status !== 'verified') call.unproven++
    if (one.trustScore !== null) call.trust.add(one.trustScore)
    for (const taint of one.taints) call.taints.add(taint)
    call.page ??= this.#pages.take(report, 'call')
  }

  #newCall(from: Service, to: Service): Call | undefined {
    if (this.#callCount >= MAX_CALLS) return undefined
    this.#callCount++
    const call: Call = {
      from,
      to,
      calls: 0,
      unproven: 0,
      trust: new Range(),
      taints: new NameCount(),
      refused: 0,
      observed: 0,
      policies: new NameCount(),
      page: null,
    }
    const some = this.#calls.get(from) ?? new Map<Service, Call>()
    this.#calls.set(from, some.set(to, call))
    return call
  }
}

function count(service: Service, { status, trustScore, taints }: AuditedEntry): void {
  service.entries++
  if (status !== 'verified') service.unproven++
  if (trustScore !== null) service.trust.add(trustScore)
  for (const taint of taints) service.taints.add(taint)
}
