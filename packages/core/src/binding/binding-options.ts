import { KestConfigError } from '../errors.js'
import { type BoundPart, resolveBodyBytes, resolveParts } from './bound-request.js'
import type { MessageReplayStore } from './message-once.js'
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
  /**
   * With `hop`: what each token must bind of its request: `method`, `path` (with the query), `body` (K-BODY). One that does
   * not is refused. What a token binds must be the same whether or not it is required here. Default: nothing has to be.
   */
  readonly require?: readonly BoundPart[] | undefined
  /**
   * With `hop`: the longest body that is kept to be compared, bytes; one that is longer and bound is refused. It is read
   * before anything decides, and whoever parses it afterwards finds it. Default 1,048,576.
   */
  readonly maxBodyBytes?: number | undefined
}

/** How a receiver of messages knows their sender (K-MESSAGE). */
export interface MessageBindingOptions extends Pick<BindingOptions, 'relays' | 'clockSkewMs'> {
  /**
   * Who may send a passport. `none` (default): whoever can write to the queue. `message`: each message has a token that the
   * principal of a tip, or a relay, signed for it: for its body and for the queue or topic. Both ways: what is sent has
   * one, and what is received needs one.
   */
  readonly binding?: 'none' | 'message' | undefined
  /**
   * With `message`: URIs by which senders name what arrives here, beside where it is read: of the topics, exchanges or subjects
   * that a queue is fed from. Default: none.
   */
  readonly audiences?: readonly string[] | undefined
  /**
   * With `message`: remembers which messages came, so that a repeat that is no redelivery is refused. All who read a queue
   * need the same. Default: none, and repeats are findings of an audit.
   */
  readonly replayStore?: MessageReplayStore | undefined
}

/** {@link BindingOptions} or {@link MessageBindingOptions}, checked and complete. */
export type ResolvedBinding = RequestBinding | MessageBinding

export type RequestBinding =
  | { readonly kind: 'none' }
  | { readonly kind: 'mtls'; readonly relays: readonly string[] }
  | {
      readonly kind: 'hop'
      readonly relays: readonly string[]
      readonly audiences: ReadonlySet<string>
      readonly clockSkewMs: number
      /** `null`: the instance's. */
      readonly replayStore: ReplayStore | null
      readonly required: ReadonlySet<BoundPart>
      readonly maxBodyBytes: number
    }

export type MessageBinding =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'message'
      readonly relays: readonly string[]
      readonly audiences: readonly string[]
      readonly clockSkewMs: number
      readonly maxAgeMs: number
      readonly replayStore: MessageReplayStore | null
    }

/** Names of the options there are. */
export const BINDING_OPTIONS: readonly (keyof BindingOptions)[] = Object.freeze([
  'binding',
  'relays',
  'audiences',
  'clockSkewMs',
  'replayStore',
  'require',
  'maxBodyBytes',
])

const HOP_ALONE: readonly (keyof BindingOptions)[] = [
  'audiences',
  'clockSkewMs',
  'replayStore',
  'require',
  'maxBodyBytes',
]

/** Scheme, authority, and nothing behind: `URL` would take much else. */
const ORIGIN = /^https?:\/\/[^\s/?#@\\%*]+$/i

/** @throws {KestConfigError} for an option that is wrong, missing, or without meaning beside another */
export function resolveBinding(options: BindingOptions): RequestBinding {
  const { binding = 'none', relays = [], audiences, clockSkewMs = 5000, replayStore = null } = options
  if (binding !== 'none' && binding !== 'mtls' && binding !== 'hop') {
    throw invalid('binding', 'one of none, mtls, hop')
  }
  if (binding === 'none') assertIdle(options, ['relays', ...HOP_ALONE], 'without a binding')
  assertNames(relays)
  if (binding === 'none') return Object.freeze({ kind: binding })
  if (binding === 'mtls') {
    assertIdle(options, HOP_ALONE, 'with binding "mtls"')
    return Object.freeze({ kind: binding, relays: [...relays] })
  }
  assertSkew(clockSkewMs)
  if (replayStore !== null && typeof replayStore?.setIfAbsent !== 'function') {
    throw invalid('replayStore', 'an object with setIfAbsent')
  }
  return Object.freeze({
    kind: binding,
    relays: [...relays],
    audiences: origins(audiences),
    clockSkewMs,
    replayStore,
    required: options.require === undefined ? NOTHING : resolveParts('listener.require', options.require),
    maxBodyBytes: resolveBodyBytes('listener.maxBodyBytes', options.maxBodyBytes),
  })
}

const NOTHING: ReadonlySet<BoundPart> = new Set()

/**
 * As {@link resolveBinding}, of messages.
 * @param maxAgeMs how old a message may get
 */
export function resolveMessageBinding(options: MessageBindingOptions, maxAgeMs: number): MessageBinding {
  const { binding = 'none', relays = [], audiences = [], clockSkewMs = 5000, replayStore = null } = options
  if (binding !== 'none' && binding !== 'message') throw invalid('binding', 'one of none, message')
  if (binding === 'none') {
    assertIdle(options, ['relays', ...HOP_ALONE], 'without a binding', 'K-MESSAGE')
    return Object.freeze({ kind: binding })
  }
  assertNames(relays)
  assertSkew(clockSkewMs)
  if (!Array.isArray(audiences) || !audiences.every((name) => typeof name === 'string' && name !== ''))
    throw invalid('audiences', 'a list of URIs')
  if (replayStore !== null && ['get', 'setIfAbsent'].some((name) => !isMethod(replayStore, name)))
    throw invalid('replayStore', 'an object with get and setIfAbsent')
  return Object.freeze({
    kind: binding,
    relays: [...relays],
    audiences: [...audiences],
    clockSkewMs,
    maxAgeMs,
    replayStore,
  })
}

function isMethod(value: unknown, name: string): boolean {
  return typeof (value as Readonly<Record<string, unknown>>)[name] === 'function'
}

function assertNames(relays: unknown): void {
  if (!Array.isArray(relays) || !relays.every((name) => typeof name === 'string' && name !== ''))
    throw invalid('relays', 'a list of principals')
}

function assertSkew(clockSkewMs: unknown): void {
  if (
    !Number.isSafeInteger(clockSkewMs) ||
    (clockSkewMs as number) < 0 ||
    (clockSkewMs as number) > MAX_CLOCK_SKEW_MS
  )
    throw invalid('clockSkewMs', `an integer from 0 to ${MAX_CLOCK_SKEW_MS}`)
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

function assertIdle(
  options: BindingOptions | MessageBindingOptions,
  names: readonly (keyof BindingOptions)[],
  beside: string,
  rule = 'K-HOP',
): void {
  const idle = names.find((name) => (options as BindingOptions)[name] !== undefined)
  if (idle !== undefined) throw new KestConfigError(`listener.${idle}: means nothing ${beside} (${rule})`)
}

function invalid(option: string, expected: string): KestConfigError {
  return new KestConfigError(`listener.${option}: expected ${expected}`)
}
