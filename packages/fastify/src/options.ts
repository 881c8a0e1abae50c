import {
  type Kest,
  KestConfigError,
  type ListenerOptions,
  type OperationOptions,
  type Policies,
  toStateGraceMs,
} from '@kest/core'
import type { FastifyContextConfig, FastifyRequest } from 'fastify'

/** What a policy is chosen by: one route and one of its methods. */
export interface RouteInfo {
  /** Upper case. A route of several methods is asked about once for each, the HEAD that Fastify adds included. */
  readonly method: string
  /** The pattern, prefixes included: `/orders/:id`. */
  readonly url: string
  /** The route's own `config`. */
  readonly config: Readonly<FastifyContextConfig>
}

/** How routes are protected. What is not here is a listener's option: `origin`, `mode`, `token`, … */
export interface KestFastifyOptions extends ListenerOptions {
  /** Default: that of the enclosing registration, else the active one (`configure`), as it is at registration. */
  readonly kest?: Kest | undefined
  /**
   * The policies of routes that name none in `config.kest`. A function may answer `undefined` for "none", which is
   * an error at start unless the route is excluded.
   */
  readonly policy?: Policies | ((route: RouteInfo) => Policies | undefined) | undefined
  /**
   * Routes that Kest leaves alone: patterns exactly as declared, prefixes included (`/health`, `/files/*`), or one method
   * of a pattern (`OPTIONS *`; the HEAD that Fastify adds to a GET is one of its own). One that no route has is an error
   * at start. Default: none.
   */
  readonly exclude?: readonly string[] | undefined
  /**
   * Paths below which Kest leaves every route alone, whoever declares it: `/docs` is what begins with `/docs/`, without
   * `/docs` itself. One below which no route was declared is an error at start. Default: none.
   */
  readonly excludeBelow?: readonly string[] | undefined
  /** Serves the workload's public keys, unprotected. `true` is `/.well-known/kest/jwks.json`. Default `false`. */
  readonly publishKeys?: boolean | string | undefined
  /**
   * Who answers when Kest refuses: `respond` (default) answers problem+json that tells a code and nothing more,
   * `next` hands the error to Fastify's error handler, which must keep its message from the client. Where that calls
   * `callNotFound()` for a request whose lineage or token was refused, Kest answers after all.
   */
  readonly onError?: 'respond' | 'next' | undefined
  /**
   * How long operations begin and calls leave in a request's state after its response is closed, milliseconds, where the
   * handler's promise is not there to say that it is done: it takes callbacks, has hijacked the reply, or was declared
   * before the plugin (K-STATE). Default 10,000.
   */
  readonly stateGraceMs?: number | undefined
  /**
   * What `request.kest.fetch` calls: a `fetch` that carries passports, such as `createKestFetch()` of `@kest/undici` makes.
   * Default: the global one, as it is at each call.
   */
  readonly fetch?: typeof globalThis.fetch | undefined
}

/** `config.kest` of a route: what its operation is. Values may be functions of the request. */
export type KestRouteOptions = Partial<Omit<OperationOptions<[request: FastifyRequest]>, 'operation'>> & {
  /** Whether a token may name somebody else than the lineage does (K-IDENT). Default `false`. */
  readonly switchIdentity?: boolean
}

/** Plugin options, checked as far as they are the plugin's own. */
export interface ResolvedOptions {
  readonly kest: Kest | undefined
  readonly policy: KestFastifyOptions['policy']
  readonly exclude: readonly string[]
  readonly excludeBelow: readonly string[]
  /** `null`: not published. */
  readonly keysPath: string | null
  readonly onError: 'respond' | 'next'
  readonly stateGraceMs: number
  readonly fetch: typeof globalThis.fetch | undefined
  readonly listener: ListenerOptions
}

const DEFAULT_KEYS_PATH = '/.well-known/kest/jwks.json'

/** @throws {KestConfigError} for an option of the plugin that is wrong; the others are judged by `Kest.listener` */
export function resolveOptions(options: KestFastifyOptions): ResolvedOptions {
  const { kest, policy, publishKeys = false, onError = 'respond', ...others } = options
  const { exclude, excludeBelow, stateGraceMs, fetch, ...listener } = others
  for (const name of ['prefix', 'logLevel', 'logSerializers']) {
    if (Object.hasOwn(listener, name)) {
      throw new KestConfigError(
        `kestFastify.${name}: Fastify ignores it here; register the plugin in the scope it is for`,
      )
    }
  }
  if (kest !== undefined && (typeof kest?.begin !== 'function' || typeof kest.listener !== 'function')) {
    throw invalid('kest', 'what createKest or configure answered')
  }
  if (typeof publishKeys !== 'boolean' && (typeof publishKeys !== 'string' || !publishKeys.startsWith('/'))) {
    throw invalid('publishKeys', 'a boolean, or a path')
  }
  if (onError !== 'respond' && onError !== 'next') throw invalid('onError', '"respond" or "next"')
  if (fetch !== undefined && typeof fetch !== 'function') throw invalid('fetch', 'a function')
  const keysPath = publishKeys === true ? DEFAULT_KEYS_PATH : publishKeys === false ? null : publishKeys
  return {
    kest,
    policy,
    exclude: listOf(
      'exclude',
      exclude,
      /^(?:[A-Z]+ )?[/*]/,
      'patterns as declared, as "/health" or "OPTIONS *"',
    ),
    // A wildcard would be another way to say the same, and "/" be every route.
    excludeBelow: listOf('excludeBelow', excludeBelow, /^(?:\/[^/*]+)+$/, 'paths, as "/docs"'),
    keysPath,
    onError,
    stateGraceMs: toStateGraceMs('kestFastify', stateGraceMs),
    fetch,
    listener,
  }
}

function listOf(option: string, list: unknown = [], form: RegExp, expected: string): readonly string[] {
  if (Array.isArray(list) && list.every((item) => typeof item === 'string' && form.test(item))) return list
  throw invalid(option, `a list of ${expected}, got ${JSON.stringify(list)}`)
}

function invalid(option: string, expected: string): KestConfigError {
  return new KestConfigError(`kestFastify.${option}: expected ${expected}`)
}
