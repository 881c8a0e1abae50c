import type { IncomingMessage } from 'node:http'
import { type AdapterOptions, KestConfigError } from '@kest/core'

/** How requests come in: where from, what they must bring, and how refused ones are answered. */
export interface KestModuleOptions extends AdapterOptions {
  /** Default: the active one (`configure`), as it is when Nest makes the module. */
  readonly kest?: AdapterOptions['kest']
  /**
   * `respond` (default) answers refused requests with problem+json (RFC 9457) that tells a code and nothing more, whatever
   * filters there are. `next` hands the error to the application's exception filters, which must keep its message from the
   * client; Kest answers where none of them takes it. Resolvers of GraphQL are always refused by an error with the code.
   */
  readonly onError?: 'respond' | 'next' | undefined
  /**
   * Whether a token may name somebody else than the lineage does (K-IDENT), for all requests or for some. Asked before the
   * route is known, with Node's request (on Express that is its own). Default `false`.
   */
  readonly switchIdentity?: boolean | ((request: IncomingMessage) => boolean) | undefined
}

/** Module options, checked as far as they are the module's own. */
export interface ResolvedOptions {
  readonly switchIdentity: NonNullable<KestModuleOptions['switchIdentity']>
  /** Those of every adapter, judged by `createIngress`. */
  readonly adapter: AdapterOptions
}

/** @throws {KestConfigError} for an option of the module that is wrong; the others are judged by `createIngress` */
export function resolveOptions(options: KestModuleOptions | undefined): ResolvedOptions {
  if (typeof options !== 'object' || options === null)
    throw new KestConfigError('KestModule: expected an object of options')
  const { switchIdentity = false, ...adapter } = options
  if (typeof switchIdentity !== 'boolean' && typeof switchIdentity !== 'function')
    throw new KestConfigError('KestModule.switchIdentity: expected a boolean, or a function of the request')
  return { switchIdentity, adapter }
}
