import type { SignedEntry } from '../jws/compact.js'
import { MAX_RECEIPT_LENGTH } from './receipt-header.js'

/** What one entry takes on: to be the receipt of a request. */
export interface PromisedReceipt {
  /** What the caller has named the request by, for the entry's label. */
  readonly nonce: string
  /** The entry is signed. */
  signed(entry: SignedEntry): void
  /** There will be no entry: the next one may be it. */
  giveBack(): void
}

/**
 * A receipt that whoever sent a request asks for (K-RECEIPT): the first entry that is made for the request, as it is signed.
 * There is one only where the caller's lineage was verified, and never at an edge.
 */
export class RequestedReceipt {
  readonly #nonce: string
  #promised = false
  #receipt: string | null = null

  constructor(nonce: string) {
    this.#nonce = nonce
  }

  /** What to answer with; `null` before there is an entry, and where it is too long for a header. */
  get receipt(): string | null {
    return this.#receipt
  }

  /** For one entry at a time, until one was signed; `undefined` for the others. */
  promise(): PromisedReceipt | undefined {
    if (this.#promised) return undefined
    this.#promised = true
    return {
      nonce: this.#nonce,
      signed: ({ jws }) => {
        if (jws.length <= MAX_RECEIPT_LENGTH) this.#receipt = jws
      },
      giveBack: () => {
        if (this.#receipt === null) this.#promised = false
      },
    }
  }
}
