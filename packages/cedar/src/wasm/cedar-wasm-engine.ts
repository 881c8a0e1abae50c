import { randomUUID } from 'node:crypto'
import {
  assertOptions,
  type Decision,
  KestConfigError,
  type PolicyEngine,
  type PolicyRequest,
} from '@kest/core'
import type { CedarValue, Used } from '../cedar-value.js'
import { EntityNames, type EntityTypes, formatUid } from '../entity-types.js'
import { flatContext } from '../flat-context.js'
import { type CedarAnswer, judge, undecided } from '../refusal.js'
import { type Cedar, loadCedar } from './cedar.js'
import { describe, refuse } from './diagnostics.js'
import { loadRules, type Rules } from './load-rules.js'
import { revisionOf } from './revision.js'
import type { Source } from './source.js'

export interface CedarWasmOptions {
  /** Cedar policies: text, or files. Required, and at least one policy. */
  readonly policies: Source | readonly Source[]
  /**
   * A schema in Cedar's own syntax: text, or files, which are put together. With it, policies and entities are checked when
   * the engine is loaded, an action that it does not declare is denied, and a request that does not fit it is not decided.
   * `contextSchema()` describes Kest's context.
   */
  readonly schema?: Source | readonly Source[]
  /** Entities in Cedar's JSON: a list, its text, or its file. */
  readonly entities?: Source | readonly unknown[]
  /** Default: `Workload`, `Action`, `Resource`. */
  readonly entityTypes?: EntityTypes
  /**
   * Cedar's WebAssembly: the path of `cedar_wasm_bg.wasm` of `@cedar-policy/cedar-wasm/web`, or its bytes. For bundles, which leave
   * it behind; the first engine that names one decides it for the process. Default: from the installed package.
   */
  readonly module?: string | URL | Uint8Array
}

const WHERE = 'CedarWasmEngine'

/** The contexts of one request, by what of them its policies need. */
type Contexts = Map<Used, Readonly<Record<string, CedarValue>>>

/**
 * Policies in Cedar, decided in this process. They are parsed once.
 *
 * A policy of Kest is an action of Cedar: `orders/read` asks for `Action::"orders/read"`, of the principal
 * `Workload::"<workload>"` and the resource `Resource::"<object id>"`, with the flat context. All named policies are asked,
 * in order, until one does not allow. A denial's reason names the policies that decided, by their ids.
 *
 * Cedar goes on without a policy that fails, such as one that reads an attribute that is not there. An allow beside such a
 * failure is none: what failed may have been what forbids (`ERR_KEST_ENGINE`).
 *
 * Deciding is synchronous, and takes about as long as a signature.
 *
 * @example
 * ```ts
 * const engine = await CedarWasmEngine.load({ policies: new URL('../orders.cedar', import.meta.url) })
 * configure({ identity, engine, trust })
 * ```
 */
export class CedarWasmEngine implements PolicyEngine {
  readonly #cedar: Cedar
  readonly #rules: Rules
  readonly #names: EntityNames
  readonly #revision: string | undefined
  /** By which Cedar keeps our policies: its module may be shared with another copy of this one. */
  readonly #id: string
  /** What makes Cedar hold each request against the schema, if there is one. */
  readonly #validation: { readonly preparsedSchemaName?: string; readonly validateRequest?: boolean } = {}
  #closed = false

  private constructor(cedar: Cedar, rules: Rules, names: EntityNames) {
    this.#cedar = cedar
    this.#rules = rules
    this.#names = names
    const { policies, schema: text, given: entities } = rules
    this.#revision = revisionOf({ policies, schema: text, entities, entityTypes: names.types })
    this.#id = `kest-${randomUUID()}`
    const answer = cedar.preparsePolicySet(this.#id, { staticPolicies: rules.policies })
    if (answer.type === 'failure') refuse('policies', answer.errors)
    if (rules.schema === null) return
    const schema = cedar.preparseSchema(this.#id, rules.schema)
    if (schema.type === 'failure') refuse('schema', schema.errors)
    this.#validation = { preparsedSchemaName: this.#id, validateRequest: true }
  }

  /**
   * Reads, parses and checks policies, schema and entities.
   *
   * @throws {KestConfigError} naming what is not right, with Cedar's diagnostics: unreadable files; text that is no Cedar,
   *   with line and column; policies or entities that do not fit the schema; wrong or unknown options
   */
  static async load(options: CedarWasmOptions): Promise<CedarWasmEngine> {
    assertOptions(WHERE, options, ['policies', 'schema', 'entities', 'entityTypes', 'module'])
    if (options.policies === undefined) throw new KestConfigError(`${WHERE}.policies: required`)
    const names = new EntityNames(WHERE, options.entityTypes)
    const cedar = await loadCedar(options.module)
    return new CedarWasmEngine(cedar, await loadRules(cedar, options), names)
  }

  /** @throws {PolicyDeniedError} `ERR_KEST_ENGINE` when a policy cannot be decided */
  evaluate(request: PolicyRequest): Decision {
    const [first] = request.policies
    if (this.#closed) throw undecided('ERR_KEST_ENGINE', first as string, 'the engine was closed', request)
    const contexts: Contexts = new Map()
    let decision: Decision | undefined
    for (const policy of request.policies) {
      decision = judge(policy, this.#ask(policy, request, contexts), request, decision)
      if (!decision.allow) break
    }
    return decision as Decision
  }

  /**
   * The text that decides (K-REVISION): `cedar:sha256:…`, a digest of policies, schema, entities and `entityTypes`. `undefined` where there
   * is half of a surrogate pair in them.
   */
  revision(): string | undefined {
    return this.#revision
  }

  /** Forgets the policies; nothing is decided after that. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#cedar.preparsePolicySet(this.#id, {})
    if (this.#rules.schema !== null) this.#cedar.preparseSchema(this.#id, '')
  }

  #ask(policy: string, request: PolicyRequest, contexts: Contexts): CedarAnswer {
    const action = this.#names.action(policy)
    const needed = this.#rules.contextOf(action)
    if (needed === undefined) {
      return { allow: false, reasons: [], errors: [`${formatUid(action)} is not in the schema`] }
    }
    const principal = this.#names.principal(request.context)
    const resource = held(() => this.#names.resource(request.context), policy, request)
    let context = contexts.get(needed)
    if (context === undefined) {
      context = held(() => flatContext(request.context, needed), policy, request)
      contexts.set(needed, context)
    }
    const answer = this.#cedar.statefulIsAuthorized({
      ...this.#validation,
      principal,
      action,
      resource,
      context: context as Parameters<Cedar['statefulIsAuthorized']>[0]['context'],
      preparsedPolicySetId: this.#id,
      entities: this.#rules.entities.reachable([principal, action, resource, context]),
    })
    if (answer.type === 'failure') {
      throw undecided('ERR_KEST_ENGINE', policy, answer.errors.map(describe).join('; '), request)
    }
    const { decision, diagnostics } = answer.response
    return {
      allow: decision === 'allow',
      reasons: diagnostics.reason,
      errors: diagnostics.errors.map(({ policyId, error }) => `${policyId}: ${describe(error)}`),
    }
  }
}

/** @throws {PolicyDeniedError} `ERR_KEST_ENGINE` for what Cedar cannot hold */
function held<T>(make: () => T, policy: string, request: PolicyRequest): T {
  try {
    return make()
  } catch (cause) {
    throw undecided('ERR_KEST_ENGINE', policy, (cause as Error).message, request, cause)
  }
}
