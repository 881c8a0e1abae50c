/** A sleep that can be cut short. */
export class Alarm {
  #wake: (() => void) | null = null
  #rung = false

  /**
   * Resolves after `ms`, or when it rings, or soon if it rang since the last sleep. With 0: after what this turn of the
   * event loop still does.
   *
   * @returns whether it rang
   */
  sleep(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const hasRung = this.#rung
      const end = (rang: boolean): void => {
        cancel()
        this.#wake = null
        resolve(rang)
      }
      const wake = (): void => end(true)
      const over = (): void => end(hasRung)
      const cancel = ms > 0 && !hasRung ? startTimer(ms, over) : startImmediate(over)
      this.#rung = false
      this.#wake = wake
    })
  }

  ring(): void {
    if (this.#wake === null) this.#rung = true
    else this.#wake()
  }
}

function startTimer(ms: number, callback: () => void): () => void {
  const timer = setTimeout(callback, ms)
  return () => clearTimeout(timer)
}

function startImmediate(callback: () => void): () => void {
  const immediate = setImmediate(callback)
  return () => clearImmediate(immediate)
}
