import { createInterface } from 'node:readline/promises'
import type { Io } from '../command.js'
import { InputError } from '../files/input-error.js'

/** A question with the words that answer it; the first is the default. */
export interface Question<T extends string> {
  readonly what: string
  readonly choices: readonly [T, ...T[]]
}

/** Asks a person at the terminal, until the answer is one of the choices; nothing is the first. */
export class Asker implements Disposable {
  readonly #lines: AsyncIterator<string>
  readonly #close: () => void
  readonly #write: (text: string) => Promise<void>

  constructor({ stdin, stderr }: Io) {
    const reading = createInterface({ input: stdin })
    this.#lines = reading[Symbol.asyncIterator]()
    this.#close = () => reading.close()
    this.#write = (text) => stderr.write(text)
  }

  /** @throws {InputError} when the input ends */
  async ask<const T extends string>({ what, choices }: Question<T>): Promise<T> {
    const [first] = choices
    for (;;) {
      await this.#write(`${what} (${choices.join(', ')}) [${first}]: `)
      const { done, value } = await this.#lines.next()
      if (done) throw new InputError('there is no answer, and nothing was written')
      const answer = value.trim()
      const chosen = answer === '' ? first : choices.find((choice) => choice === answer)
      if (chosen !== undefined) return chosen
    }
  }

  [Symbol.dispose](): void {
    this.#close()
  }
}
