import {
  createIngress,
  type Ingress,
  type Kest,
  KestConfigError,
  type OperationDefinition,
  type OperationOptions,
  type Policies,
} from '@kest/core'
import type { FastifyContextConfig, FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import { Exclusions } from './exclusions.js'
import type { KestFastifyOptions, KestRouteOptions, ResolvedOptions, RouteInfo } from './options.js'

/** Where an instance, and by its prototype every scope inside, keeps its {@link Scope}. */
const SCOPE = Symbol('kest.fastify.scope')
/** Where a route's config keeps its {@link Protection}. Being a member it survives the copies that Fastify makes. */
const PROTECTION = Symbol('kest.fastify.protection')

/** What Kest does for one route. */
export interface Protection {
  /** Whose rules these are. */
  readonly scope: Scope
  /** By method; `null` for a route that Kest leaves alone. */
  readonly operations: ReadonlyMap<string, OperationDefinition> | null
  readonly switchIdentity: boolean
}

/** A route as declared, or as it is met at run time. */
interface DeclaredRoute {
  readonly method: string | readonly string[]
  readonly url: string
  readonly config: FastifyContextConfig
}

type RouteConfig = FastifyContextConfig & { [PROTECTION]?: Protection }

/** One registration of the plugin: the rules of the routes in its scope. */
export class Scope {
  readonly kest: Kest
  readonly ingress: Ingress
  readonly onError: 'respond' | 'next'
  readonly exclusions: Exclusions
  /** Plugins that were there before the outermost registration around this one, and so run before it. */
  readonly before: ReadonlySet<string>
  /** The first plugin that was found to come too late. */
  misplaced: string | undefined
  readonly #policy: KestFastifyOptions['policy']
  /** Routes that got a guard and were not looked at since. */
  readonly declared: RouteOptions[] = []
  /** Routes that were declared before this registration, by their config: judged when first met. */
  readonly #late = new WeakMap<object, Protection>()

  /** @throws {KestConfigError} when there is no Kest instance, and for wrong options */
  constructor(options: ResolvedOptions, enclosing: Scope | undefined, before: ReadonlySet<string>) {
    const { adapter } = options
    this.ingress = createIngress('kestFastify', { ...adapter, kest: adapter.kest ?? enclosing?.kest })
    this.kest = this.ingress.kest
    this.onError = this.ingress.onError
    this.exclusions = new Exclusions(options.exclude, options.excludeBelow)
    this.before = enclosing?.before ?? before
    this.#policy = options.policy
    if (options.policy !== undefined && typeof options.policy !== 'function') {
      this.kest.operation({ operation: 'kestFastify', policy: options.policy })
    }
  }

  /**
   * The rules for a route.
   * @throws {KestConfigError} for a route without a policy, and for wrong options of a route
   */
  protect(route: DeclaredRoute): Protection {
    const own: unknown = route.config.kest
    const where = `route ${String(route.method)} ${route.url}`
    if (
      own !== undefined &&
      own !== false &&
      (typeof own !== 'object' || own === null || Array.isArray(own))
    ) {
      throw new KestConfigError(`${where}: config.kest: expected false or an object of options`)
    }
    if (this.exclusions.cover([route.method].flat(), route.url)) {
      if (own) throw new KestConfigError(`${where}: it is excluded, and has options in config.kest`)
      return { scope: this, operations: null, switchIdentity: false }
    }
    if (own === false) return { scope: this, operations: null, switchIdentity: false }

    const { switchIdentity = false, ...values } = (own ?? {}) as KestRouteOptions
    if (typeof switchIdentity !== 'boolean') {
      throw new KestConfigError(`${where}: config.kest.switchIdentity: expected a boolean`)
    }
    if (Object.hasOwn(values, 'operation')) {
      throw new KestConfigError(
        `${where}: config.kest.operation: a route's operation is its method and its pattern`,
      )
    }
    const operations = new Map<string, OperationDefinition>()
    for (const method of [route.method].flat()) {
      const url = route.url === '' ? '/' : route.url
      const policy = values.policy ?? this.#policyOf({ method, url, config: route.config })
      if (policy === undefined) {
        throw new KestConfigError(
          `${where}: it has no policy; give it config: { kest: { policy } }, or opt out with kest: false`,
        )
      }
      const options: OperationOptions<[FastifyRequest]> = { ...values, operation: `${method} ${url}`, policy }
      operations.set(method, this.kest.operation(options))
    }
    return { scope: this, operations, switchIdentity }
  }

  /**
   * The rules for the route of a request: what was found when it was declared, or for a route that was declared
   * before this registration, what is found now.
   * @throws {KestConfigError} as {@link protect}
   */
  protectionOf(request: FastifyRequest): Protection {
    const { config, method = request.method, url = '' } = request.routeOptions
    const declared = (config as RouteConfig)[PROTECTION]
    if (declared?.scope === this) return declared
    let late = this.#late.get(config)
    if (late === undefined) {
      late = this.protect({ method, url, config })
      this.#late.set(config, late)
    }
    return late
  }

  #policyOf(route: RouteInfo): Policies | undefined {
    if (typeof this.#policy !== 'function') return this.#policy
    try {
      return this.#policy(route)
    } catch (cause) {
      throw new KestConfigError(`route ${route.method} ${route.url}: kestFastify.policy failed`, { cause })
    }
  }
}

/** The scope that an instance is in: its own registration's, or that of the nearest one around. */
export function scopeOf(instance: FastifyInstance): Scope | undefined {
  return (instance as { [SCOPE]?: Scope })[SCOPE]
}

/** @throws {KestConfigError} when the instance has one of its own already */
export function enterScope(instance: FastifyInstance, scope: Scope): void {
  if (Object.hasOwn(instance, SCOPE)) {
    throw new KestConfigError('kestFastify: registered twice in one scope; which options count?')
  }
  instance.decorate(SCOPE, scope)
}

/** A copy of a route's config that remembers its protection. */
export function markConfig(
  config: FastifyContextConfig | undefined,
  protection: Protection,
): FastifyContextConfig {
  return { ...config, [PROTECTION]: protection } as FastifyContextConfig
}

/**
 * Whether this scope saw the request's route being declared, so that the route has its own last preHandler. A mark of
 * another scope was copied with the config of a route there, and the guard need not have been copied along.
 */
export function isMarked(request: FastifyRequest, scope: Scope): boolean {
  return (request.routeOptions.config as RouteConfig)[PROTECTION]?.scope === scope
}
