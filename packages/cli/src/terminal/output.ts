import type { Writable } from 'node:stream'
import { type Colors, createColors } from './colors.js'

/**
 * Where a command writes. When nobody reads any more (EPIPE: `kest … | head`) the rest is not written, and the command
 * goes on: its exit status is of the evidence, not of the pipe.
 */
export class Output {
  readonly colors: Colors
  /** Whether it is shown where a status line is. */
  readonly isTerminal: boolean
  readonly #stream: Writable
  #failure: NodeJS.ErrnoException | null = null

  constructor(stream: Writable, options: { readonly colors: boolean }) {
    this.#stream = stream
    this.isTerminal = (stream as { readonly isTTY?: boolean }).isTTY === true
    this.colors = createColors(options.colors)
    stream.on('error', (error) => this.#fail(error))
  }

  /** Why something was not written; `null` when everything was, or the reader wanted no more. */
  get failure(): NodeJS.ErrnoException | null {
    return this.#failure?.code === 'EPIPE' ? null : this.#failure
  }

  /** Resolves when the text has been handed over, also when that failed. */
  async write(text: string): Promise<void> {
    if (this.#failure !== null) return
    await new Promise<void>((resolve) => {
      this.#stream.write(text, (error) => {
        if (error) this.#fail(error)
        resolve()
      })
    })
  }

  #fail(error: NodeJS.ErrnoException): void {
    this.#failure ??= error
  }
}
