import { AsyncResource } from 'node:async_hooks'

/** Those that have something to tell. */
const running = new Set<Period>()

function tellAll(): void {
  for (const period of running) period.end()
}

/**
 * Calls back after each period while there is something to tell, and when the process ends. It keeps no process alive, and
 * what it runs is in the asynchronous context of whoever made it: it belongs to no single request.
 */
export class Period {
  readonly ms: number
  readonly #tell: () => boolean
  readonly #next: () => void
  #timer: NodeJS.Timeout | undefined

  /** @param tell answers whether there may be more to tell after another period */
  constructor(ms: number, tell: () => boolean) {
    this.ms = ms
    this.#tell = tell
    this.#next = AsyncResource.bind(() => {
      this.#timer = undefined
      if (this.#tell()) this.begin()
      else this.#leave()
    })
  }

  /** There is something to tell. Idempotent. */
  begin(): void {
    if (this.#timer !== undefined) return
    if (running.size === 0) process.once('exit', tellAll)
    running.add(this)
    this.#timer = setTimeout(this.#next, this.ms).unref()
  }

  /** Tells what there is, now; the next {@link begin} begins anew. */
  end(): void {
    if (this.#timer === undefined) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#tell()
    this.#leave()
  }

  #leave(): void {
    running.delete(this)
    if (running.size === 0) process.off('exit', tellAll)
  }
}
