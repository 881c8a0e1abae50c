import { type AuditFinding, finding } from '../finding.js'
import type { AuditedEntry } from './audited-entry.js'

interface Begun {
  count: number
  least: number
  most: number
}

/** Who began lineage, how often and with which trust: to be reviewed where no list says who may (K-ROOTS). */
export class Beginnings {
  /** Principals with a key, of whom trust material names a bounded number. */
  readonly #by = new Map<string, Begun>()

  add(one: AuditedEntry): void {
    const { parents, principal, status, source } = one
    if (status !== 'verified' || source === 'foreign' || parents.length > 0) return
    const trust = one.entry.trust_score
    const begun = this.#by.get(principal)
    if (begun === undefined) this.#by.set(principal, { count: 1, least: trust, most: trust })
    else {
      begun.count++
      begun.least = Math.min(begun.least, trust)
      begun.most = Math.max(begun.most, trust)
    }
  }

  /** One note for each principal, by name. */
  findings(): AuditFinding[] {
    return [...this.#by]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([principal, { count, least, most }]) => {
        const lineages = count === 1 ? 'a lineage' : `${count} lineages`
        const trust = least === most ? `trust ${most}` : `trust ${least} to ${most}`
        return finding('root', `${principal} began ${lineages}, with ${trust}; no list says who may`)
      })
  }
}
