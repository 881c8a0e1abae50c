/** At most so often it is written anew, milliseconds. */
const INTERVAL = 100
/** Back to the beginning of the line, and nothing on it (ECMA-48 §8.3.41). */
const ERASE = '\r\u001b[K'

/** One line that changes while something takes long. Only on a terminal; elsewhere nothing is written. */
export class StatusLine {
  readonly #write: ((text: string) => void) | null
  #shown = false
  #last = 0

  /** @param write to the terminal; `null` where there is none */
  constructor(write: ((text: string) => void) | null) {
    this.#write = write
  }

  /** @param text safe to show */
  show(text: () => string): void {
    if (this.#write === null) return
    const now = performance.now()
    if (this.#shown && now - this.#last < INTERVAL) return
    this.#last = now
    this.#shown = true
    this.#write(`${ERASE}${text()}`)
  }

  /** Before anything else is written to the terminal. */
  clear(): void {
    if (this.#shown) this.#write?.(ERASE)
    this.#shown = false
  }
}
