/** Rows of one workload, and characters of the names in them: whoever signs invents as many as it likes. */
const OF_WORKLOAD = { rows: 2_000, characters: 524_288 } as const
const OF_ALL = { rows: 20_000, characters: 8_388_608 } as const

interface Room {
  readonly rows: number
  readonly characters: number
}

/** How much of what workloads sign is counted apart: of each, and of all, so that none crowds out another. */
export class TallyRoom {
  readonly #workloads = new Map<string, Room>()
  #left: Room = OF_ALL

  /** Whether there is room for so much more, which is then taken. The name of a workload is counted with its first. */
  take(workload: string, rows: number, characters: number): boolean {
    const own = this.#workloads.get(workload) ?? OF_WORKLOAD
    const whole = characters + (own === OF_WORKLOAD ? workload.length : 0)
    for (const room of [own, this.#left]) if (room.rows < rows || room.characters < whole) return false
    this.#left = { rows: this.#left.rows - rows, characters: this.#left.characters - whole }
    this.#workloads.set(workload, { rows: own.rows - rows, characters: own.characters - whole })
    return true
  }
}
