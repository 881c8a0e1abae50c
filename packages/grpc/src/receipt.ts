import { Metadata } from '@grpc/grpc-js'
import { RECEIPT_HEADER } from '@kest/core'

/** Takes receipts out of metadata, which is changed; answers with what they said. */
export function takeReceipt(metadata: Metadata): readonly string[] {
  const values = metadata.get(RECEIPT_HEADER).map(String)
  if (values.length > 0) metadata.remove(RECEIPT_HEADER)
  return values
}

/**
 * Metadata with this receipt, and no other. What is given is not changed, since applications use one for many calls; where
 * nothing is to be changed it is the answer.
 */
export function withReceipt<M extends Metadata | null | undefined>(
  given: M,
  receipt: string | null,
): M | Metadata {
  if (receipt === null && (given?.get(RECEIPT_HEADER).length ?? 0) === 0) return given
  const metadata = given?.clone() ?? new Metadata()
  metadata.remove(RECEIPT_HEADER)
  if (receipt !== null) metadata.set(RECEIPT_HEADER, receipt)
  return metadata
}
