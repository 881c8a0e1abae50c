import type { Assignment, Enlistment, Ready } from '../hop/messages.js'
import { Child, type Settings } from './child.js'
import type { Watch } from './watch.js'

/** The program of a hop, and the name that the operator gives it. */
export interface HopProgram {
  readonly name: string
  readonly program: string
}

/** A hop as a process of its own. */
export class HopProcess extends Child {
  #origin = ''

  constructor({ name, program }: HopProgram, settings: Settings, logFile: string, watch: Watch) {
    super(name, program, settings, logFile, watch)
  }

  /** Where it serves; `""` before it has its place. */
  get origin(): string {
    return this.#origin
  }

  /** The first thing that a hop says. */
  enlistment(): Promise<Enlistment> {
    return this.receive()
  }

  /** Gives the hop its place. When this resolves, it serves there. */
  async assign(place: Assignment): Promise<void> {
    this.send(place)
    const { origin } = await this.receive<Ready>()
    this.#origin = origin
  }
}
