import { KestConfigError, type PolicyRequest, type ReplayedDecision, type ReplayText } from '@kest/core'
import { CedarWasmEngine, type CedarWasmOptions } from './cedar-wasm-engine.js'

/**
 * Policies in Cedar that are asked again what they decided (K-REPLAY): the set, schema, entities and types that a {@link CedarWasmEngine} had,
 * which has the revision `cedar:sha256:…`. Cedar reads nothing but those and the question, so that it always decides so.
 *
 * @example
 * ```ts
 * const replay = new PolicyReplay({ texts: [await CedarReplay.load({ policies: new URL('../orders.cedar', import.meta.url) })] })
 * await using audit = new Audit({ trust, replay })
 * ```
 */
export class CedarReplay implements ReplayText {
  readonly name: string
  readonly revision: string
  readonly #engine: CedarWasmEngine

  private constructor(engine: CedarWasmEngine, revision: string, name: string) {
    this.#engine = engine
    this.revision = revision
    this.name = name
  }

  /**
   * @param name what messages call it
   * @throws {KestConfigError} as {@link CedarWasmEngine.load}
   */
  static async load(options: CedarWasmOptions, name = 'the Cedar policies'): Promise<CedarReplay> {
    const engine = await CedarWasmEngine.load(options)
    const revision = engine.revision()
    if (revision === undefined) throw new KestConfigError(`${name}: half of a surrogate pair is in them`)
    return new CedarReplay(engine, revision, name)
  }

  /** Cedar's sets have no names. */
  isCalled(): boolean {
    return false
  }

  /** @throws {PolicyDeniedError} when a policy cannot be decided */
  replay(request: PolicyRequest): ReplayedDecision {
    const { allow, reason } = this.#engine.evaluate(request)
    return { allow, reason, outside: NOTHING }
  }
}

const NOTHING: readonly string[] = Object.freeze([])
