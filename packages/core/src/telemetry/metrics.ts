import { type Counter, type Histogram, type MeterProvider, metrics } from '@opentelemetry/api'
import type { KestErrorCode } from '../errors.js'
import { VERSION } from '../version.js'
import { SCOPE } from './attributes.js'

/** A header has 8192 bytes at most unless it is told otherwise. */
const SIZES = [256, 512, 1024, 2048, 3072, 4096, 6144, 8192, 16_384, 32_768]

interface Instruments {
  readonly signed: Counter
  readonly unrecorded: Counter
  readonly denials: Counter
  readonly verifications: Counter
  readonly verification: Histogram
  readonly stripped: Counter
  readonly stateless: Counter
  readonly bypassed: Counter
  readonly passports: Counter
  readonly headerSize: Histogram
  readonly observed: Counter
  readonly receipts: Counter
  readonly reloads: Counter
}

/**
 * What an operator counts. Instruments are `kest.entries.signed`, `kest.entries.unrecorded`, `kest.denials` (by
 * `error.type`), `kest.verifications` (by `kest.result`), `kest.verification.duration` (seconds),
 * `kest.baggage.stripped`, `kest.outbound.stateless`, `kest.outbound.bypassed`, `kest.outbound.passports` and
 * `kest.outbound.header.size` (bytes; both by `kest.tier`), `kest.observed` (by `kest.what`, `error.type` and `kest.policy`), `kest.receipts` (by `kest.result`) and `kest.deployment.reloads` (by `kest.result`).
 *
 * The global provider is looked up on use: unlike tracers, the API's meters do not start to count when an SDK is
 * registered after them.
 */
export class KestMetrics {
  readonly #own: MeterProvider | undefined
  #provider: MeterProvider | undefined
  #instruments: Instruments | undefined

  constructor(meterProvider?: MeterProvider) {
    this.#own = meterProvider
  }

  entrySigned(): void {
    this.#on().signed.add(1)
  }

  /** An operation runs whose record an audit trail should have, and does not. */
  entryUnrecorded(): void {
    this.#on().unrecorded.add(1)
  }

  /** An operation did not run; `_OTHER` for an error that is not Kest's, as OpenTelemetry names those. */
  denied(code: KestErrorCode | '_OTHER'): void {
    this.#on().denials.add(1, { 'error.type': code })
  }

  /** An inbound passport was judged: `ok`, or the code it was refused with. */
  verified(result: 'ok' | KestErrorCode, milliseconds: number): void {
    const { verifications, verification } = this.#on()
    verifications.add(1, { 'kest.result': result })
    verification.record(milliseconds / 1000, { 'kest.result': result })
  }

  /** Members named `kest.*` that an edge removed (K-EDGE). */
  stripped(count: number): void {
    this.#on().stripped.add(count)
  }

  /** A request in scope was sent where no state is, or no operation, and so without a passport (K-STATE). */
  stateless(): void {
    this.#on().stateless.add(1)
  }

  /** A request in scope was answered whose client did not go by what Kest gave it, and so without a passport. */
  bypassed(): void {
    this.#on().bypassed.add(1)
  }

  /** A header with a passport is ready to be sent: how it travels, and characters of the whole header, which are bytes. */
  injected(tier: string, length: number): void {
    const { passports, headerSize } = this.#on()
    passports.add(1, { 'kest.tier': tier })
    headerSize.record(length, { 'kest.tier': tier })
  }

  /** Something went on that would be refused (K-OBSERVE); `policy` is the one that did not allow, `null` for lineage. */
  observed(what: 'policy' | 'lineage', code: KestErrorCode, policy: string | null): void {
    this.#on().observed.add(1, {
      'kest.what': what,
      'error.type': code,
      ...(policy !== null && { 'kest.policy': policy }),
    })
  }

  /** A request that asked for a receipt was answered (K-RECEIPT). */
  receipt(result: 'taken' | 'absent' | 'wrong'): void {
    this.#on().receipts.add(1, { 'kest.result': result })
  }

  /** The deployment file was loaded again, or found broken: then again each minute while it lasts. */
  reloaded(result: 'ok' | 'ERR_KEST_CONFIG'): void {
    this.#on().reloads.add(1, { 'kest.result': result })
  }

  #on(): Instruments {
    const provider = this.#own ?? metrics.getMeterProvider()
    if (this.#instruments === undefined || this.#provider !== provider) {
      const meter = provider.getMeter(SCOPE, VERSION)
      this.#provider = provider
      this.#instruments = {
        signed: meter.createCounter('kest.entries.signed', { description: 'Entries signed' }),
        unrecorded: meter.createCounter('kest.entries.unrecorded', {
          description: 'Entries signed whose span did not record, though an audit trail is to keep it',
        }),
        denials: meter.createCounter('kest.denials', { description: 'Operations that did not run' }),
        verifications: meter.createCounter('kest.verifications', { description: 'Inbound passports judged' }),
        verification: meter.createHistogram('kest.verification.duration', {
          description: 'Time to judge an inbound passport',
          unit: 's',
        }),
        stripped: meter.createCounter('kest.baggage.stripped', {
          description: 'kest.* members removed at an edge',
        }),
        stateless: meter.createCounter('kest.outbound.stateless', {
          description:
            'Requests in scope that left without a passport, since no state or no operation was there',
        }),
        bypassed: meter.createCounter('kest.outbound.bypassed', {
          description: 'Requests in scope that went past the dispatcher that Kest gave their fetch',
        }),
        passports: meter.createCounter('kest.outbound.passports', {
          description: 'Passports sent, by how they travel',
        }),
        headerSize: meter.createHistogram('kest.outbound.header.size', {
          description: 'Size of the baggage header with a passport',
          unit: 'By',
          advice: { explicitBucketBoundaries: SIZES },
        }),
        observed: meter.createCounter('kest.observed', {
          description: 'Refusals that were observed instead of enforced',
        }),
        receipts: meter.createCounter('kest.receipts', {
          description: 'Answers to requests that asked for a receipt, by what came of it',
        }),
        reloads: meter.createCounter('kest.deployment.reloads', {
          description: 'Times that the deployment file was loaded again, or found broken',
        }),
      }
    }
    return this.#instruments
  }
}
