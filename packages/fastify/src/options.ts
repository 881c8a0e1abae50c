import { type AdapterOptions, KestConfigError, type OperationOptions, type Policies } from '@kest/core'
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
export interface KestFastifyOptions extends AdapterOptions {
  /** Default: that of the enclosing registration, else the active one (`configure`), as it is at registration. */
  readonly kest?: AdapterOptions['kest']
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
}

/** `config.kest` of a route: what its operation is. Values may be functions of the request. */
export type KestRouteOptions = Partial<Omit<OperationOptions<[request: FastifyRequest]>, 'operation'>> & {
  /** Whether a token may name somebody else than the lineage does (K-IDENT). Default `false`. */
  readonly switchIdentity?: boolean
}

/** Plugin options, checked as far as they are the plugin's own. */
export interface ResolvedOptions {
  readonly policy: KestFastifyOptions['policy']
  readonly exclude: readonly string[]
  readonly excludeBelow: readonly string[]
  /** `null`: not published. */
  readonly keysPath: string | null
  /** Those of every adapter, judged by `createIngress`. */
  readonly adapter: AdapterOptions
}

const DEFAULT_KEYS_PATH = '/.well-known/kest/jwks.json'

/** @throws {KestConfigError} for an option of the plugin that is wrong; the others are judged by `createIngress` */
export function resolveOptions(options: KestFastifyOptions): ResolvedOptions {
  const { policy, publishKeys = false, exclude, excludeBelow, ...adapter } = options
  for (const name of ['prefix', 'logLevel', 'logSerializers']) {
    if (Object.hasOwn(adapter, name)) {
      throw new KestConfigError(
        `kestFastify.${name}: Fastify ignores it here; register the plugin in the scope it is for`,
      )
    }
  }
  if (typeof publishKeys !== 'boolean' && (typeof publishKeys !== 'string' || !publishKeys.startsWith('/'))) {
    throw invalid('publishKeys', 'a boolean, or a path')
  }
  const keysPath = publishKeys === true ? DEFAULT_KEYS_PATH : publishKeys === false ? null : publishKeys
  return {
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
    adapter,
  }
}

function listOf(option: string, list: unknown = [], form: RegExp, expected: string): readonly string[] {
  if (Array.isArray(list) && list.every((item) => typeof item === 'string' && form.test(item))) return list
  throw invalid(option, `a list of ${expected}, got ${JSON.stringify(list)}`)
}

function invalid(option: string, expected: string): KestConfigError {
  return new KestConfigError(`kestFastify.${option}: expected ${expected}`)
}
