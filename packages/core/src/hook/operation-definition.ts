import { LABEL } from '../entry/entry.js'
import { KestConfigError } from '../errors.js'
import type { IdentityProvider } from '../identity/provider.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import type { PolicyEngine } from '../policy/engine.js'
import { isEngine } from '../policy/is-engine.js'
import { toPolicies } from '../policy/policies.js'
import { assertKnownOrigin, type OriginMap } from '../trust/origins.js'
import { isReserved } from '../trust/reserved.js'
import type { OperationOptions, OperationValues } from './operation-options.js'
import { OUTCOME_SUFFIX } from './outcome-entry.js'

const FIXED = ['operation', 'policy', 'classification', 'sanitizer', 'identity', 'engine'] as const
const RESERVED_LABELS: ReadonlySet<string> = new Set<string>([LABEL.principal, LABEL.traceId])
/** No JSON text has one, so neither has a name that is signed. */
const LONE_SURROGATE = /\p{Surrogate}/u
const HASH = /^(?:[0-9a-f]{64})?$/

/** How each value must look; a wrong one is named by its key. */
const VALUES: { readonly [Name in keyof Required<OperationValues>]: (value: unknown) => boolean } = {
  origin: isOwnName,
  trustOverride: (value) => Number.isInteger(value),
  addedTaints: isOwnNames,
  removedTaints: isOwnNames,
  user: isName,
  agent: isName,
  task: isName,
  resource: (value) =>
    isRecord(value) &&
    Object.keys(value).every((name) => name === 'id' || name === 'attributes') &&
    isName(value['id']) &&
    (value['attributes'] === undefined || isRecord(value['attributes'])),
  labels: (value) =>
    isRecord(value) &&
    Object.entries(value).every(
      ([name, text]) => typeof text === 'string' && !RESERVED_LABELS.has(name) && !isReserved(name),
    ),
  environment: isRecord,
  metadata: () => true,
  contentHash: (value) => typeof value === 'string' && HASH.test(value),
  inputHash: (value) => typeof value === 'string' && HASH.test(value),
}

type Resolver = (...args: readonly unknown[]) => MaybePromise<unknown>

/** An operation's options, checked once: what remains per call is to resolve its values. */
export class OperationDefinition {
  readonly operation: string
  readonly policies: readonly string[]
  readonly classification: string
  readonly sanitizer: boolean
  readonly identity: IdentityProvider | undefined
  readonly engine: PolicyEngine | undefined
  readonly #fixed: OperationValues
  readonly #resolvers: readonly (readonly [keyof OperationValues, Resolver])[]

  /** @throws {KestConfigError} naming the operation and the option that is missing, unknown or wrong. */
  constructor(options: OperationOptions<never>) {
    if (!isRecord(options)) throw new KestConfigError('operation: expected an object of options')
    const { operation, classification = 'system', sanitizer = false } = options
    if (!isName(operation)) throw new KestConfigError('operation: expected a non-empty string')
    if (operation.endsWith(OUTCOME_SUFFIX))
      throw new KestConfigError(
        `operation "${operation}": names that end in "${OUTCOME_SUFFIX}" are of how operations ended (K-OUTCOME)`,
      )
    this.operation = operation
    this.policies = toPolicies(options.policy, operation)
    if (!isName(classification)) this.#fail('classification')
    this.classification = classification
    if (typeof sanitizer !== 'boolean') this.#fail('sanitizer')
    this.sanitizer = sanitizer
    if (options.identity !== undefined && typeof options.identity.current !== 'function')
      this.#fail('identity')
    this.identity = options.identity
    if (options.engine !== undefined && !isEngine(options.engine)) this.#fail('engine')
    this.engine = options.engine

    const fixed: Record<string, unknown> = {}
    const resolvers: [keyof OperationValues, Resolver][] = []
    for (const [name, value] of Object.entries(options)) {
      if ((FIXED as readonly string[]).includes(name) || value === undefined) continue
      if (!Object.hasOwn(VALUES, name))
        throw new KestConfigError(`operation "${operation}": unknown option "${name}"`)
      const known = name as keyof OperationValues
      if (typeof value === 'function') resolvers.push([known, value as Resolver])
      else fixed[name] = this.#checked(known, kept(known, value))
    }
    this.#resolvers = resolvers
    if (resolvers.length === 0) this.#checkTogether(fixed)
    this.#fixed = Object.freeze(fixed)
  }

  /** @throws {KestConfigError} for an origin that is given as such, and has no score */
  assertOrigin(origins: OriginMap): void {
    const { origin } = this.#fixed
    if (origin !== undefined) assertKnownOrigin(`operation "${this.operation}": origin`, origin, origins)
  }

  /** The values of one call: fixed ones, and what resolvers make of its arguments. */
  resolve(args: readonly unknown[]): MaybePromise<OperationValues> {
    if (this.#resolvers.length === 0) return this.#fixed
    const resolved = this.#resolvers.map(([name, resolver]) => [name, attempt(resolver, args)] as const)
    if (resolved.some(([, value]) => isPromise(value))) {
      return Promise.all(resolved.map(async ([name, value]) => [name, await value] as const)).then((all) =>
        this.#with(all),
      )
    }
    return this.#with(resolved)
  }

  #with(resolved: readonly (readonly [keyof OperationValues, unknown])[]): OperationValues {
    const values: Record<string, unknown> = { ...this.#fixed }
    for (const [name, value] of resolved) {
      if (value !== undefined) values[name] = this.#checked(name, kept(name, value))
    }
    this.#checkTogether(values)
    return values
  }

  #checked(name: keyof OperationValues, value: unknown): unknown {
    if (!VALUES[name](value)) this.#fail(name)
    return value
  }

  #checkTogether({ addedTaints = [], removedTaints = [], trustOverride }: OperationValues): void {
    const both = addedTaints.find((taint) => removedTaints.includes(taint))
    if (both !== undefined)
      throw new KestConfigError(`operation "${this.operation}": taint "${both}" is both added and removed`)
    if (removedTaints.length > 0 && !this.sanitizer && trustOverride === undefined) {
      throw new KestConfigError(
        `operation "${this.operation}": removedTaints needs sanitizer: true or a trustOverride (F-TT-03)`,
      )
    }
  }

  #fail(option: string): never {
    throw new KestConfigError(`operation "${this.operation}": option "${option}" is not valid`)
  }
}

/** Every resolver is asked, and what one throws is awaited beside the others: no rejection is left unobserved. */
function attempt(resolver: Resolver, args: readonly unknown[]): MaybePromise<unknown> {
  try {
    return resolver(...args)
  } catch (error) {
    return Promise.reject(error)
  }
}

/** What its owner can no longer change while a policy is asked. */
function kept(name: keyof OperationValues, value: unknown): unknown {
  if (Array.isArray(value)) return Object.freeze([...value])
  return (name === 'labels' || name === 'resource') && isRecord(value) ? Object.freeze({ ...value }) : value
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && !LONE_SURROGATE.test(value)
}

/** Names that begin with `kest.` are Kest's alone (K-RESERVED). */
function isOwnName(value: unknown): boolean {
  return isName(value) && !isReserved(value)
}

function isOwnNames(value: unknown): boolean {
  return Array.isArray(value) && value.every(isOwnName)
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
