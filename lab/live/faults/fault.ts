import type { Service } from '../../src/chain.js'
import type { Scene } from '../support/scene.js'

/** Something that goes wrong, and what comes of it: a row of the table in `docs/reliability.md`. */
export interface Fault {
  readonly name: string
  /**
   * Codes of the errors that clients see. The first is waited for, the others may come along. None where requests are
   * answered all the same.
   */
  readonly codes: readonly string[]
  /** Beside `codes`: what some clients may see, and when. */
  readonly sometimes?: readonly [code: string, when: string]
  /**
   * The log where an operator sees it, and what it says there, beside a remedy. `null` where there is nothing to see.
   */
  readonly log: readonly [of: Service | 'opa', says: string] | null
  /** What an operator does. */
  readonly remedy: string
  /** Lets it happen. What is returned ends it. */
  begin(scene: Scene): Promise<() => Promise<void> | void>
}
