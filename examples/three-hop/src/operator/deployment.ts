import { chownSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { TrustDocument } from '@kest/core'
import type { Collector } from '../arguments.js'
import { DEPLOYMENT_FILE, spansFolderOf } from '../chain.js'
import type { Assignment } from '../hop/messages.js'
import { HopProcess, type HopProgram } from './hop-process.js'
import type { Identities } from './identities.js'
import type { Watch } from './watch.js'

/** The hops of one chain, and who decides who each of them is. */
export class Deployment {
  readonly #folder: string
  readonly #collector: Collector | null
  readonly #identities: Identities
  readonly #watch: Watch
  readonly #hops: HopProcess[] = []
  #trust: TrustDocument = {}

  /**
   * @param folder for the hops' spans and logs
   * @param collector whom they export their spans to instead, if there is one
   */
  constructor(folder: string, identities: Identities, watch: Watch, collector: Collector | null = null) {
    this.#folder = folder
    this.#collector = collector
    this.#identities = identities
    this.#watch = watch
  }

  /** What everything that the hops sign is verified with: the operator says so, not the hops. */
  get trust(): TrustDocument {
    return this.#trust
  }

  /** The hops, in the chain's order. */
  get hops(): readonly HopProcess[] {
    return this.#hops
  }

  /**
   * Starts the programs, in the chain's order, and lets them say who they are. Then every hop gets its place, the last
   * one first, since each must know where the next one is. Of listed keys it learns those before it, and no others.
   *
   * @throws {Failure} when one ends early, or is not who it should be
   */
  async start(programs: readonly HopProgram[]): Promise<void> {
    for (const program of programs) this.#hops.push(this.#spawn(program))
    const enlistments = await Promise.all(
      this.#hops.map(async (hop) => [hop.name, await hop.enlistment()] as const),
    )
    this.#trust = this.#identities.trustIn(new Map(enlistments))
    const keys = Object.entries(this.#trust.keys ?? {})
    for (const [i, hop] of [...this.#hops.entries()].reverse()) {
      const assignment: Assignment = {
        keys: Object.fromEntries(keys.slice(0, i)),
        next: this.#hops[i + 1]?.origin ?? '',
        spans: this.#spansOf(hop.name),
      }
      await hop.assign(assignment)
    }
  }

  /** When this resolves, all of them have ended in good order and all spans are written. */
  async stop(): Promise<void> {
    await Promise.all(this.#hops.map((hop) => hop.stop()))
  }

  /** Ends those that are still there. */
  async kill(): Promise<void> {
    await Promise.all(this.#hops.map((hop) => hop.kill()))
  }

  #spansOf(name: string): Assignment['spans'] {
    return this.#collector === null
      ? { exporter: 'file', endpoint: spansFolderOf(this.#folder, name) }
      : { exporter: 'otlp', endpoint: this.#collector.endpoint }
  }

  #spawn(program: HopProgram): HopProcess {
    const own = this.#identities.settingsOf(program.name)
    const settings = { ...own, env: { ...own.env, KEST_CONFIG: DEPLOYMENT_FILE } }
    // What an earlier run has exported is none of this one's.
    const spansFolder = spansFolderOf(this.#folder, program.name)
    rmSync(spansFolder, { recursive: true, force: true })
    mkdirSync(spansFolder)
    if (settings.user !== undefined) chownSync(spansFolder, settings.user, settings.user)
    return new HopProcess(program, settings, join(this.#folder, `${program.name}.log`), this.#watch)
  }
}
