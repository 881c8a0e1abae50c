import {
  assertOptions,
  type JsonObject,
  KestConfigError,
  type PolicyRequest,
  type PolicyRevision,
  type ReplayedDecision,
  type ReplayText,
} from '@kest/core'
import { CompiledPolicy } from './compiled-policy.js'
import { decide } from './decide.js'
import { type ResolvedRegoWasmOptions, resolveOptions } from './options.js'
import { PolicySource, type ReadPolicies } from './policy-source.js'
import { revisionOf } from './revision.js'
import { type Builtin, createTimeBuiltins } from './time-builtins.js'

export interface RegoReplayOptions {
  /** As the engine had it: an object, or the path of a JSON file. */
  readonly data?: JsonObject | string | URL
  /** As the engine had it. Default: each policy is the entry point of its name. */
  readonly paths?: Readonly<Record<string, string>>
  /** As the engine had it. */
  readonly decisionPath?: string
  /** The name under which an OPA has the bundle. Default: any, so that the bundle's revision alone counts. */
  readonly bundle?: string
  /** Beyond it a decision fails. Default 67,108,864. */
  readonly maxMemoryBytes?: number
}

const WHERE = 'RegoReplay'
const KNOWN = ['data', 'paths', 'decisionPath', 'bundle', 'maxMemoryBytes']

/** Functions of the module that do not decide quite as those of OPA, by how the module calls them. */
const UNLIKE_OPA: Readonly<Record<string, string>> = {
  opa_glob_match: 'glob.match',
  opa_cidr_contains: 'net.cidr_contains',
  opa_regex_match: 'regex.match',
  opa_regex_find: 'regex.find_n',
  opa_json_unmarshal: 'json.unmarshal',
  opa_base64_decode: 'base64.decode',
  opa_base64_is_valid: 'base64.is_valid',
  opa_base64_url_decode: 'base64url.decode',
  opa_numbers_format_int: 'format_int',
}
/** Those of this process. `sprintf` is not among them: it differs in what it writes of lists and objects. */
const HOST_UNLIKE_OPA = ['json.is_valid', 'yaml.marshal']

/**
 * Policies in Rego, compiled by `opa build -t wasm`, that are asked again what they decided (K-REPLAY).
 *
 * It stands for the revision `rego-wasm:sha256:…` that a {@link RegoWasmEngine} of the same module, data and options has; and, by name, for
 * `opa:bundle:<name>@<revision>` of an OPA, where its manifest has that revision (`opa build -t wasm --revision v12`). What an OPA has
 * beside the bundle, such as data that was pushed, is not in it.
 *
 * A decision that calls the clock, a time zone, or a function that is not in the module (`http.send`, `rand.intn`) says so, and proves nothing. So
 * does one by an OPA, where the policies call a function that is not quite OPA's here, or the policy is no entry point.
 *
 * @example
 * ```ts
 * const replay = new PolicyReplay({ texts: [await RegoReplay.load('bundle.tar.gz')] })
 * await using audit = new Audit({ trust, replay })
 * ```
 */
export class RegoReplay implements ReplayText {
  readonly name: string
  readonly revision: string
  readonly #options: ResolvedRegoWasmOptions
  readonly #policies: CompiledPolicy
  readonly #unlike: readonly string[]
  /** As an OPA says it, behind the name of the bundle. */
  readonly #called: string | null
  readonly #bundle: string | undefined
  readonly #outside = new Set<string>()

  private constructor(
    name: string,
    read: ReadPolicies,
    options: ResolvedRegoWasmOptions,
    bundle: string | undefined,
  ) {
    this.name = name
    this.#options = options
    this.#bundle = bundle
    this.#called = read.bundleRevision
    this.#policies = new CompiledPolicy(read.module, {
      data: read.data,
      maxMemoryBytes: options.maxMemoryBytes,
      builtins: this.#watched(),
      standIn: (called) => () => {
        this.#outside.add(called)
        return undefined
      },
    })
    const { called } = this.#policies
    const standIns = called.filter((one) => !FIXED.includes(one))
    const revision = revisionOf(read.text, { ...options.askedAs, builtins: standIns })
    if (revision === undefined) throw new KestConfigError(`${name}: its data is no text of RFC 8785`)
    this.revision = revision
    const text = Buffer.from(read.text.wasm).toString('latin1')
    this.#unlike = [
      ...Object.entries(UNLIKE_OPA).flatMap(([symbol, function_]) =>
        text.includes(symbol) ? [function_] : [],
      ),
      ...called.filter((one) => HOST_UNLIKE_OPA.includes(one)),
    ]
  }

  /**
   * Loads policies from a `.wasm`, from the bundle in which it came, or from the bytes of either.
   *
   * @throws {KestConfigError} for what cannot be read or loaded, and for wrong options
   */
  static async load(source: string | URL | Uint8Array, options: RegoReplayOptions = {}): Promise<RegoReplay> {
    assertOptions(WHERE, options, KNOWN)
    const { bundle, ...others } = options
    if (bundle !== undefined && (typeof bundle !== 'string' || bundle === ''))
      throw new KestConfigError(`${WHERE}.bundle: expected the name of a bundle`)
    const resolved = resolveOptions(others, source)
    const read = await new PolicySource(source, resolved.dataFile, resolved.data).read()
    const name = typeof source === 'string' || source instanceof URL ? String(source) : 'the policies'
    return new RegoReplay(name, read, resolved, bundle)
  }

  isCalled({ engine, scheme, value }: PolicyRevision): boolean {
    if (engine !== 'opa' || scheme !== 'bundle' || this.#called === null) return false
    const end = this.#bundle === undefined ? value.indexOf('@') : this.#bundle.length
    return (
      value.slice(end) === `@${this.#called}` &&
      (this.#bundle === undefined || value.startsWith(this.#bundle))
    )
  }

  /** @throws {PolicyDeniedError} when a policy cannot be decided */
  replay(request: PolicyRequest, { isDigest }: PolicyRevision): ReplayedDecision {
    this.#outside.clear()
    const absent = isDigest
      ? []
      : request.policies.filter(
          (policy) => this.#policies.entrypoint(this.#options.pathOf(policy)) === undefined,
        )
    if (absent.length > 0)
      return { allow: false, outside: absent.map((policy) => `${policy}, which is no entry point of it`) }
    const decision = decide(this.#policies, this.#options, request)
    const outside = [...this.#outside, ...(isDigest ? [] : this.#unlike)]
    return decision === true
      ? { allow: true, outside }
      : { allow: decision.allow, reason: decision.reason, outside }
  }

  /** What says what time it is, or where, and that it was asked. */
  #watched(): Readonly<Record<string, Builtin>> {
    const builtins = createTimeBuiltins(() => Date.now())
    return Object.fromEntries(
      Object.entries(builtins).map(([name, builtin]) => [
        name,
        (...args: never[]) => {
          const [moment] = args as readonly unknown[]
          const zone = Array.isArray(moment) ? moment[1] : undefined
          const isFixed = name !== 'time.now_ns' && (zone === undefined || zone === '' || zone === 'UTC')
          if (!isFixed) this.#outside.add(name)
          return builtin(...args)
        },
      ]),
    )
  }
}

/** Functions that an engine has by itself. */
const FIXED: readonly string[] = [...Object.keys(createTimeBuiltins(() => 0)), 'sprintf', ...HOST_UNLIKE_OPA]
