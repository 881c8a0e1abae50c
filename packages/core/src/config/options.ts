import type { MeterProvider, TracerProvider } from '@opentelemetry/api'
import type { Clock } from '../clock.js'
import type { KeySource } from '../identity/key-source.js'
import type { IdentityProvider } from '../identity/provider.js'
import type { Limits } from '../limits.js'
import type { PolicyEngine } from '../policy/engine.js'
import type { CacheProvider } from '../propagation/cache.js'
import type { SubjectOptions } from '../pseudonyms/subject-options.js'
import type { ReceiptOptions } from '../receipts/receipt-options.js'
import type { AuditTrail } from '../telemetry/audit-trail.js'
import type { Logger } from '../telemetry/logger.js'
import type { TrustEvaluator } from '../trust/evaluator.js'

/**
 * The parts that Kest works with; every one is injected (P8). Policies of the enterprise, platform and application
 * tier, and deviations, are not among them: they come from the file that `KEST_CONFIG` names (F-PE-11).
 */
export interface KestOptions {
  /** Who signs. Without it no operation begins, unless it brings its own. */
  readonly identity?: IdentityProvider
  /**
   * Names those who act by pseudonyms in all that is signed, exported and sent (K-PSEUDONYM). Policies and the application see the
   * clear name where a request begins, and only there. Services behind need the same keys and the same `tenant` to compare a token
   * of their own with the lineage. Default: names are signed as they are.
   */
  readonly subject?: SubjectOptions
  /** Who decides. Without it no operation begins, unless it brings its own and no upper tier has a policy. */
  readonly engine?: PolicyEngine
  /** What inbound passports are checked against. Without it every inbound passport is refused. */
  readonly trust?: KeySource | readonly KeySource[]
  /** Where passports wait that fit no header (claim check). Default: none, and such a request is not sent. */
  readonly cache?: CacheProvider
  /** Origins beside the protocol's own, with their trust 0…100. */
  readonly origins?: Readonly<Record<string, number>>
  /** Default: `floor(min(parents) × self / 100)`. */
  readonly trustEvaluator?: TrustEvaluator
  /** Principals that may raise trust or remove taints (K-EFF). Default: those of one's own trust domain. */
  readonly raisers?: readonly string[]
  /**
   * Whether what is refused is signed (K-DENIAL), so that it can be proven: attribute `kest.denial` of its span. By keys in this process
   * only, and at most 200 within a second; how many more there were, the next one says. Default `signed`.
   */
  readonly denials?: 'signed' | 'unsigned'
  /** How long deciding may take, all tiers together, milliseconds. Default 1000. No retry (SPEC §11.1). */
  readonly policyTimeoutMs?: number
  /** How long the identity may take to say who signs, and its key to sign, each, milliseconds. Default 5000. */
  readonly identityTimeoutMs?: number
  /**
   * How long operations begin and calls leave in the state of an operation that began outside any request, milliseconds
   * (K-STATE). Default 3,600,000. Listeners have an option of the same name.
   */
  readonly maxStateMs?: number
  readonly propagation?: {
    /** Characters of one encoded `key=value`. Default 4096 (K-SIZE). */
    readonly maxMemberLength?: number
    /** Characters of the whole `baggage` header. Default 8192. */
    readonly maxHeaderLength?: number
    /** Characters of all inbound `baggage` lines together. Default 16,384. */
    readonly maxInboundLength?: number
    /** `compressed` writes tier 2 only. Default `auto`. */
    readonly encoding?: 'auto' | 'compressed'
    /** Of claim-check keys, shared by all that share the cache. Default `default`. */
    readonly namespace?: string
    /** How long a claim check lasts, milliseconds. Default 3,600,000. */
    readonly claimTtlMs?: number
    /** How long cache and replay store may take to answer, milliseconds; either may have a bound of its own. Default 1000. */
    readonly cacheTimeoutMs?: number
  }
  /**
   * Whether each operation is recorded by a second entry when it has ended (K-OUTCOME). Receipts imply it. Default `false`.
   */
  readonly outcomes?: boolean
  /** What is asked of whom this calls: what it has recorded, as evidence in one's own hands (K-RECEIPT). Default: nothing. */
  readonly receipts?: ReceiptOptions
  readonly limits?: Partial<Limits>
  /** What `setupTelemetry` of `@kest/telemetry` gives fits here as it is. */
  readonly telemetry?: {
    /** Where audit spans go. Default: OpenTelemetry's global one. */
    readonly tracerProvider?: TracerProvider
    /** Default: OpenTelemetry's global one. */
    readonly meterProvider?: MeterProvider | undefined
    /** Whether audit spans show the whole passport (`kest.passport`). Default `true`. */
    readonly passport?: boolean | undefined
    /** What may make an operation wait, or refuse it, when its record cannot be kept. Default: nothing. */
    readonly auditTrail?: AuditTrail | undefined
  }
  /** Default: warnings and errors, one line of JSON each, to stderr. */
  readonly logger?: Logger
  readonly clock?: Clock
}
