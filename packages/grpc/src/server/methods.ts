import type { Metadata, ServiceDefinition } from '@grpc/grpc-js'
import { KestConfigError, type RouteOperationOptions, RouteOperations } from '@kest/core'

/** A call, before its first message is read. */
export interface IncomingCall {
  /** `/package.Service/Method` */
  readonly method: string
  /** As it came, without lineage. */
  readonly metadata: Metadata
  /** The address at the other end of the connection. */
  readonly peer: string
}

/** What a method's operation is, beside its name. Values are given as such, or as a function of the call. */
export type MethodOptions = RouteOperationOptions<[call: IncomingCall]> & {
  /** Whether a token may name somebody else than the lineage does (K-IDENT). Default `false`. */
  readonly switchIdentity?: boolean | undefined
}

/**
 * The options of each method: by `/package.Service/Method`, or by `/package.Service/*` for those of a service that are not named;
 * or a function of that path, asked once for each. What it answers `undefined` for is refused.
 */
export type Methods =
  | Readonly<Record<string, MethodOptions>>
  | ((method: string) => MethodOptions | undefined)

/** Which methods there are, and what they are to be. */
export interface MethodsOptions {
  /** Policies and whatever else an operation has, by method. */
  readonly methods: Methods
  /**
   * Methods that nobody is asked about, by `/package.Service/Method` or `/package.Service/*`: health checks, reflection. Default
   * none. What they are called with is not judged, and lineage is taken out of it.
   */
  readonly open?: readonly string[] | undefined
  /**
   * What the server serves. Each of its methods must then have options, or be open, and each method named must be one of them:
   * said at the start instead of at a call. Default: not known.
   */
  readonly services?: readonly ServiceDefinition[] | undefined
}

/** How calls of one method are let in. */
export interface Protection {
  readonly operations: RouteOperations<[call: IncomingCall]>
  readonly switchIdentity: boolean
}

const PATH = /^\/([^/*\s]+)\/([^/*\s]+|\*)$/

/** What is to become of calls, by their method. */
export class MethodRules {
  readonly #where: string
  readonly #named = new Map<string, Protection>()
  readonly #open: ReadonlySet<string>
  readonly #answers = new Map<string, Protection>()
  readonly #ask: ((method: string) => unknown) | null

  /** @throws {KestConfigError} for what is wrong, unknown or missing; `where` says whose options they are */
  constructor(where: string, { methods, open = [], services = [] }: MethodsOptions) {
    this.#where = where
    if (!Array.isArray(open)) throw new KestConfigError(`${where}.open: expected a list of methods`)
    if (!Array.isArray(services)) throw new KestConfigError(`${where}.services: expected a list of services`)
    this.#open = new Set(open.map((path) => assertPath(`${where}.open`, path)))
    this.#ask = typeof methods === 'function' ? methods : null
    if (this.#ask === null) this.#read(methods)
    this.#assertServices(services)
  }

  isOpen(method: string): boolean {
    return this.#open.has(method) || (!this.#named.has(method) && this.#open.has(wholeService(method)))
  }

  /** @throws {KestConfigError} for a method without options, and where the function fails to say */
  protectionOf(method: string): Protection {
    const known =
      this.#named.get(method) ?? this.#named.get(wholeService(method)) ?? this.#answers.get(method)
    if (known !== undefined) return known
    const protection = this.#protect(method, this.#asked(method))
    this.#answers.set(method, protection)
    return protection
  }

  #asked(method: string): unknown {
    const where = `${this.#where}.methods`
    let options: unknown
    try {
      options = this.#ask?.(method)
    } catch (cause) {
      throw new KestConfigError(`${where}: the function failed for ${method}`, { cause })
    }
    if (options !== undefined) return options
    throw new KestConfigError(`${where}: ${method} has no policy; what needs none is named in "open"`)
  }

  #read(methods: unknown): void {
    const where = `${this.#where}.methods`
    if (typeof methods !== 'object' || methods === null || Array.isArray(methods))
      throw new KestConfigError(`${where}: expected an object, method → options, or a function of the method`)
    for (const [method, options] of Object.entries(methods)) {
      if (this.#open.has(assertPath(where, method)))
        throw new KestConfigError(`${where}: ${method} is open as well`)
      this.#named.set(method, this.#protect(method, options))
    }
  }

  #protect(method: string, options: unknown): Protection {
    const where = `${this.#where}.methods["${method}"]`
    if (typeof options !== 'object' || options === null)
      throw new KestConfigError(`${where}: expected an object of options, such as { policy }`)
    const { switchIdentity = false, ...operation } = options as MethodOptions
    if (typeof switchIdentity !== 'boolean')
      throw new KestConfigError(`${where}.switchIdentity: expected a boolean`)
    const operations = new RouteOperations<[call: IncomingCall]>(where, operation)
    return { operations, switchIdentity }
  }

  /** Nothing that is served is left out, and nothing that is named is misspelled. */
  #assertServices(services: readonly ServiceDefinition[]): void {
    const served = services.flatMap((service) => Object.values(service).map(({ path }) => path))
    for (const method of served) if (!this.isOpen(method)) this.protectionOf(method)
    const known = new Set(served.flatMap((method) => [method, wholeService(method)]))
    const unknown = [...this.#named.keys(), ...this.#open].find((method) => !known.has(method))
    if (services.length > 0 && unknown !== undefined)
      throw new KestConfigError(`${this.#where}: ${unknown} is in none of the services`)
  }
}

function wholeService(method: string): string {
  return `${method.slice(0, method.lastIndexOf('/'))}/*`
}

function assertPath(where: string, path: unknown): string {
  if (typeof path === 'string' && PATH.test(path)) return path
  throw new KestConfigError(
    `${where}: expected "/package.Service/Method" or "/package.Service/*", got ${JSON.stringify(path) ?? typeof path}`,
  )
}
