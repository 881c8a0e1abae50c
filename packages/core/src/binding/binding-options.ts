import { KestConfigError } from '../errors.js'
import type { ReplayStore } from './replay-store.js'

/** The most that clocks may differ. */
export const MAX_CLOCK_SKEW_MS = 60_000

/** How a listener knows the sender of a passport (K-HOP). */
export interface BindingOptions {
  /**
   * Who may send a passport. `none` (default): whoever has it. `mtls`: the peer of the TLS connection is the principal
   * of a tip, or a relay. `hop`: a token (`kest.hop`) that the principal of a tip, or a relay, signed for this request
   * alone.
   */
  readonly binding?: 'none' | 'mtls' | 'hop' | undefined
  /** Principals that may send passports whose tips are not theirs: gateways that sign no entry. Default: none. */
  readonly relays?: readonly string[] | undefined
  /**
   * With `hop`, required: the origins that callers call this service by (`https://orders.example.org`). A token for
   * another origin is refused. An origin that leads to several services lets one's tokens be used at the other.
   */
  readonly audiences?: readonly string[] | undefined
  /** With `hop`: how far clocks may differ. Default 5000; at most 60,000. */
  readonly clockSkewMs?: number | undefined
  /**
   * With `hop`: remembers which tokens were used. Default: the memory of this process, one for all listeners of an
   * instance. Where several instances share an audience it must be theirs together: a shared cache.
   */
  readonly replayStore?: ReplayStore | undefined
}

/** {@link BindingOptions}, checked and complete. */
export type ResolvedBinding =
  | { readonly kind: 'none' }
  | { readonly kind: 'mtls'; readonly relays: readonly string[] }
  | {
      readonly kind: 'hop'
      readonly relays: readonly string[]
      readonly audiences: ReadonlySet<string>
      readonly clockSkewMs: number
      /** `null`: the instance's. */
      readonly replayStore: ReplayStore | null
    }

/** Names of the options there are. */
export const BINDING_OPTIONS: readonly (keyof BindingOptions)[] = Object.freeze([
  'binding',
  'relays',
  'audiences',
  'clockSkewMs',
  'replayStore',
])

const HOP_ALONE: readonly (keyof BindingOptions)[] = ['audiences', 'clockSkewMs', 'replayStore']

/** Scheme, authority, and nothing behind: `URL` would take much else. */
const ORIGIN = /^https?:\/\/[^\s/?#@\\%*]+$/i

/** @throws {KestConfigError} for an option that is wrong, missing, or without meaning beside another */
export function resolveBinding(options: BindingOptions): ResolvedBinding {
  const { binding = 'none', relays = [], audiences, clockSkewMs = 5000, replayStore = null } = options
  if (binding !== 'none' && binding !== 'mtls' && binding !== 'hop') {
    throw invalid('binding', 'one of none, mtls, hop')
  }
  if (binding === 'none') assertIdle(options, ['relays', ...HOP_ALONE], 'without a binding')
  if (!Array.isArray(relays) || !relays.every((name) => typeof name === 'string' && name !== '')) {
    throw invalid('relays', 'a list of principals')
  }
  if (binding === 'none') return Object.freeze({ kind: binding })
  if (binding === 'mtls') {
    assertIdle(options, HOP_ALONE, 'with binding "mtls"')
    return Object.freeze({ kind: binding, relays: [...relays] })
  }
  if (!Number.isSafeInteger(clockSkewMs) || clockSkewMs < 0 || clockSkewMs > MAX_CLOCK_SKEW_MS) {
    throw invalid('clockSkewMs', `an integer from 0 to ${MAX_CLOCK_SKEW_MS}`)
  }
  if (replayStore !== null && typeof replayStore?.setIfAbsent !== 'function') {
    throw invalid('replayStore', 'an object with setIfAbsent')
  }
  return Object.freeze({
    kind: binding,
    relays: [...relays],
    audiences: origins(audiences),
    clockSkewMs,
    replayStore,
  })
}

function origins(audiences: unknown): ReadonlySet<string> {
  if (!Array.isArray(audiences) || audiences.length === 0) {
    throw invalid('audiences', 'the origins that this service is called by; binding "hop" needs them (K-HOP)')
  }
  return new Set(
    audiences.map((audience: unknown) => {
      if (typeof audience !== 'string' || !ORIGIN.test(audience) || !URL.canParse(audience)) {
        throw invalid('audiences', `origins like "https://orders:8443", got ${JSON.stringify(audience)}`)
      }
      return new URL(audience).origin
    }),
  )
}

function assertIdle(options: BindingOptions, names: readonly (keyof BindingOptions)[], beside: string): void {
  const idle = names.find((name) => options[name] !== undefined)
  if (idle !== undefined) throw new KestConfigError(`listener.${idle}: means nothing ${beside} (K-HOP)`)
}

function invalid(option: string, expected: string): KestConfigError {
  return new KestConfigError(`listener.${option}: expected ${expected}`)
}
