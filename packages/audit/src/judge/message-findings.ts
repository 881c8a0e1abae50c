import { type AuditFinding, finding } from '../finding.js'
import { detailsOf, type JudgedNode, type Node } from './node.js'

/** What an entry says of the message that it handled, whose name its sender signed (K-MESSAGE). */
export interface HandledMessage {
  readonly id: string
  /** Where the broker keeps it, if it says so. */
  readonly place: string | null
  /** Which delivery it was, if the broker counts. */
  readonly count: number
}

/**
 * Messages that were handled more than once (K-MESSAGE). Brokers deliver again what nobody acknowledged: it comes from where it
 * came from, or is counted. What is neither was written a second time.
 */
export function* messageFindings(nodes: readonly JudgedNode[]): Generator<AuditFinding> {
  const first = new Map<string, Node>()
  for (const { node, status } of nodes) {
    // What another trace has is judged there; of two of one entry there is one (K-LOWS).
    if (status === 'failed' || node.source === 'foreign' || node.message === null) continue
    const { id } = node.message
    const other = first.get(id)
    if (other === undefined || other.entryId === node.entryId) first.set(id, other ?? node)
    else if (isRedelivery(node.message, other.message as HandledMessage))
      yield finding(
        'message-redelivered',
        `it was delivered again after entry ${other.hash}`,
        detailsOf(node),
      )
    else yield finding('message-repeated', `its message is also that of entry ${other.hash}`, detailsOf(node))
  }
}

function isRedelivery(message: HandledMessage, other: HandledMessage): boolean {
  if (message.place !== null || other.place !== null) return message.place === other.place
  return message.count !== other.count
}
