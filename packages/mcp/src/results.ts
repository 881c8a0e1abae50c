import { currentState, type Kest } from '@kest/core'
import type { Message } from './message.js'
import { isOpen } from './methods.js'
import { Operations, type PolicyOf, type ValuesOf } from './operations.js'
import { type McpRequest, readRequest } from './request.js'

/** What came back, and what was asked for. */
export interface McpResult extends McpRequest {
  /** As the SDK answers it. */
  readonly result: unknown
}

/** What an answer is recorded as: an operation of its own, which what follows hangs on (K-FLOW). */
export interface McpResultOptions extends ValuesOf<McpResult> {
  /** Whether it is taken: the policies, or what gives them. What is denied is thrown, and not answered. */
  readonly policy: PolicyOf<McpResult>
}

/** Whose data an answer is, where nobody says otherwise (F-TS-02). */
const ORIGINS: ReadonlyMap<string, string> = new Map([
  ['sampling/createMessage', 'llm'],
  ['elicitation/create', 'user_input'],
])
const OTHERS = 'third_party_api'

/** Records answers as data of whoever gave them: what the callee did does not come back with its answer. */
export class Results {
  readonly #kest: Kest
  readonly #operations: Operations<McpResult>

  /** @throws {KestConfigError} for options that are missing, unknown or wrong; `where` says whose they are */
  constructor(where: string, kest: Kest, { policy, ...values }: McpResultOptions) {
    this.#kest = kest
    this.#operations = new Operations(where, policy, values)
  }

  /**
   * Before the request leaves: in whose state its answer will be taken.
   *
   * @returns takes the answer, or rejects as `kest.begin`: then it is not taken. `null` where there is nothing to record
   * @throws {NotARequest} for what could not be named then
   */
  of(message: Message): ((result: unknown) => Promise<void>) | null {
    const state = currentState()
    if (state === null || isOpen(String(message['method']))) return null
    const { request, operation: asked } = readRequest({ ...message, id: 0 }, undefined, undefined)
    const operation = `${asked}#result`
    const origin = ORIGINS.get(request.method) ?? OTHERS
    return async (result) => {
      const taken: McpResult = Object.freeze({ ...request, result })
      const inputHash = await this.#kest.inputHash(result, { operation, state })
      const definition = this.#operations.define(operation, taken, { inputHash, origin })
      const begun = await this.#kest.begin(definition, { state, args: [taken] })
      begun.enter()
      begun.settle()
    }
  }
}
