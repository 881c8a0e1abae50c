import { types } from 'node:util'
import {
  type Decision,
  KestConfigError,
  type KestError,
  type PolicyEngine,
  type PolicyRequest,
} from '@kest/core'
import { undecided } from '../decision/refusal.js'
import { CompiledPolicy } from './compiled-policy.js'
import { decide } from './decide.js'
import { type RegoWasmOptions, type ResolvedRegoWasmOptions, resolveOptions } from './options.js'
import { PolicySource, type ReadPolicies } from './policy-source.js'
import { revisionOf } from './revision.js'
import { createTimeBuiltins } from './time-builtins.js'

/**
 * Policies in Rego, compiled to WebAssembly by `opa build -t wasm`, decided in this process.
 *
 * All named policies are asked, in order, until one does not allow. A policy is the entry point of its name, a rule or a
 * package; one that is not there, or has no value, denies. Deciding is synchronous: it takes microseconds, and *no
 * time-out interrupts it*, so that a policy must not loop over what a client can make large.
 *
 * The files are looked at every `reloadMs`. A change takes effect as a whole; what cannot be loaded is logged as an error
 * and the policies from before stay in force.
 *
 * @example
 * ```ts
 * const engine = await RegoWasmEngine.load(new URL('../policies.tar.gz', import.meta.url))
 * configure({ identity, engine, trust })
 * ```
 */
export class RegoWasmEngine implements PolicyEngine {
  readonly #source: PolicySource
  readonly #options: ResolvedRegoWasmOptions
  readonly #surroundings
  /** Milliseconds since the epoch, the same for all that is asked at once. */
  #now = 0
  #taken: Promise<void> = Promise.resolve()
  #policies: CompiledPolicy
  #revision: string | undefined
  #timer: NodeJS.Timeout | undefined
  #reloads = 0
  #error: KestError | null = null
  #closed = false

  private constructor(source: PolicySource, options: ResolvedRegoWasmOptions, read: ReadPolicies) {
    this.#source = source
    this.#options = options
    const { maxMemoryBytes, builtins } = options
    this.#surroundings = {
      maxMemoryBytes,
      builtins: { ...createTimeBuiltins(() => this.#now), ...builtins },
    }
    this.#policies = this.#make(read)
    this.#revision = this.#revisionOf(read, this.#policies)
    this.#lookAgain()
  }

  /**
   * Loads policies from a `.wasm`, from the bundle in which it came, or from the bytes of either.
   *
   * @throws {KestConfigError} for what cannot be read or loaded, and for wrong options
   */
  static async load(
    source: string | URL | Uint8Array,
    options: RegoWasmOptions = {},
  ): Promise<RegoWasmEngine> {
    if (
      !(types.isUint8Array(source) || source instanceof URL) &&
      (typeof source !== 'string' || source === '')
    ) {
      throw new KestConfigError('RegoWasmEngine: expected a path, a file: URL, or bytes')
    }
    const resolved = resolveOptions(options, source)
    const from = new PolicySource(source, resolved.dataFile, resolved.data)
    return new RegoWasmEngine(from, resolved, await from.read())
  }

  evaluate(request: PolicyRequest): true | Decision {
    const { policies } = request
    if (this.#closed) throw undecided('ERR_KEST_ENGINE', policies, 'the engine was closed', request)
    this.#now = this.#options.clock.now()
    return decide(this.#policies, this.#options, request)
  }

  /** Paths that policies can have, sorted. */
  get entrypoints(): readonly string[] {
    return this.#policies.entrypoints
  }

  /**
   * The text that decides now (K-REVISION): `rego-wasm:sha256:…`, a digest of module and data, and of what `paths`, `decisionPath` and
   * the names of `builtins` were given. `undefined` where it cannot be said: `paths` are a function, or there is half of a surrogate pair in the data.
   */
  revision(): string | undefined {
    return this.#revision
  }

  /** Counts the changes that took effect, so that a cache of decisions asks anew after each. */
  get generation(): number {
    return this.#reloads
  }

  /** How it is doing, for health checks and metrics: why the last change of the files did not take effect, if so. */
  status(): { readonly reloads: number; readonly error: KestError | null; readonly memoryBytes: number } {
    return { reloads: this.#reloads, error: this.#error, memoryBytes: this.#policies.memoryBytes }
  }

  /**
   * Reads the files again, now.
   *
   * @throws {KestConfigError} when they cannot be loaded; the policies from before stay in force
   */
  async reload(): Promise<void> {
    await this.#take(() => this.#source.read())
  }

  /** Decides no more. Idempotent. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #make({ module, data }: ReadPolicies): CompiledPolicy {
    const policies = new CompiledPolicy(module, { data, ...this.#surroundings })
    const { required, pathOf } = this.#options
    for (const policy of required) {
      const path = pathOf(policy)
      if (policies.entrypoint(path) !== undefined) continue
      throw new KestConfigError(
        `policy "${policy}": no entry point "${path}"; there is ${policies.entrypoints.join(', ')}`,
      )
    }
    return policies
  }

  #revisionOf({ text }: ReadPolicies, { called }: CompiledPolicy): string | undefined {
    const { askedAs } = this.#options
    const builtins = askedAs.builtins.filter((name) => called.includes(name))
    return revisionOf(text, { ...askedAs, builtins })
  }

  /** One after the other, so that what was read last counts. */
  #take(read: () => Promise<ReadPolicies | undefined>): Promise<void> {
    const taken = this.#taken.then(() => this.#takeNow(read))
    this.#taken = taken.catch(() => {})
    return taken
  }

  async #takeNow(read: () => Promise<ReadPolicies | undefined>): Promise<void> {
    try {
      const change = await read()
      if (change === undefined) return
      const policies = this.#make(change)
      this.#revision = this.#revisionOf(change, policies)
      this.#policies = policies
    } catch (error) {
      this.#error = error as KestError
      throw error
    }
    this.#error = null
    this.#reloads++
    this.#options.logger.info({ entrypoints: this.entrypoints }, 'policies reloaded')
  }

  #lookAgain(): void {
    const { reloadMs, logger } = this.#options
    if (reloadMs === 0 || this.#closed) return
    /** What is found when nothing is decided any more changes nothing, and nobody hears of it. */
    const found = async (): Promise<ReadPolicies | undefined> => {
      const change = await this.#source.readChange()
      return this.#closed ? undefined : change
    }
    const look = (): void => {
      const before = this.#error?.message
      this.#take(found).then(
        () => this.#lookAgain(),
        (error: Error) => {
          if (error.message !== before && !this.#closed) {
            logger.error({ err: error.message }, 'policies not reloaded: those from before stay in force')
          }
          this.#lookAgain()
        },
      )
    }
    this.#timer = setTimeout(look, reloadMs).unref()
  }
}
