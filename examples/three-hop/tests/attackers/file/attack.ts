import type { Outcome } from '../outcome.js'
import type { Records } from '../support/records.js'
import type { World } from '../support/world.js'

/** What lies in the file, and what else whoever writes there has. */
export interface Target {
  readonly records: Records
  /** With `hop2` and `hop3`: that of a workload that helps. */
  readonly world: World
  /** What the file has instead, where it is not lines of spans. */
  lines: ((lines: string[]) => string[]) | null
}

/** What whoever may write the exported file tries, and what an audit of it says: a row of the table in SECURITY.md. */
export interface FileAttack {
  readonly attack: string
  readonly outcome: Outcome
  readonly why: string
  tamper(target: Target): void
}

/** Attacks of one kind. */
export interface FileGroup {
  readonly title: string
  readonly attacks: readonly FileAttack[]
}

/** The request that is attacked: there is one before it, and one after. */
export const VICTIM = 1
