import { isDeepStrictEqual } from 'node:util'
import { RESULT } from '../../src/chain.js'
import { type Answer, ask } from '../../src/client/requests.js'
import type { Lab } from '../../src/lab.js'

/** Asks, each time for another item, until told to stop. Remembers which items were answered. */
export class Stream implements AsyncDisposable {
  readonly answered: string[] = []
  /** Of those that were not: status, or what `fetch` threw. */
  readonly failed: string[] = []
  readonly #done: Promise<unknown>
  #stopped = false
  #next = 0

  constructor(lab: Lab, concurrency: number) {
    this.#done = Promise.all(Array.from({ length: concurrency }, () => this.#run(lab)))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#done
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #run(lab: Lab): Promise<void> {
    while (!this.#stopped) {
      const item = `stream-${this.#next++}`
      const failure = await ask(lab.urls.hop1, item, lab.watch).then(faultOf, String)
      if (failure === null) this.answered.push(item)
      else this.failed.push(failure)
    }
  }
}

/** Why an answer is not the chain's; `null` when it is. */
function faultOf({ status, body }: Answer): string | null {
  return status === 200 && isDeepStrictEqual(body, RESULT) ? null : `${status} ${JSON.stringify(body)}`
}
