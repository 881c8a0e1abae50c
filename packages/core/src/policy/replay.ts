import type { PolicyRequest } from './engine.js'
import type { PolicyRevision } from './revision.js'

/** What a text decides, of a question that was asked before (K-REPLAY). */
export interface ReplayedDecision {
  readonly allow: boolean
  readonly reason?: string | undefined
  /**
   * What was read beside the text and the question, such as the clock: it may have been another when the question was asked, and then so
   * may the answer. Empty where the text answers this question so whenever it is asked.
   */
  readonly outside: readonly string[]
}

/** A text of policies that can be asked again what it decides, in this process and without effect (K-REPLAY). */
export interface ReplayText {
  /** What messages call it, such as its file. */
  readonly name: string
  /** The revision that only this text has: `<engine>:sha256:…`. */
  readonly revision: string
  /** Whether a revision that is a name is said to be this text: nobody knows how many others have had that name. */
  isCalled(revision: PolicyRevision): boolean
  /**
   * Asks again, of all policies of a request, which all must allow.
   *
   * @param by the revision under which it was decided
   * @throws whatever went wrong: then nothing is known
   */
  replay(request: PolicyRequest, by: PolicyRevision): ReplayedDecision
}
