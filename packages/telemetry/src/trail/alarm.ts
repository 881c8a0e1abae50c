/** A sleep that can be cut short. */
export class Alarm {
  #ring: (() => void) | null = null

  /** Resolves after `ms`, or when it rings. With 0: after what this turn of the event loop still does. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = ms > 0 ? startTimer(ms, wake) : startImmediate(wake)
      this.#ring = wake
      function wake(): void {
        cancel()
        resolve()
      }
    })
  }

  ring(): void {
    this.#ring?.()
    this.#ring = null
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
