import type { AuditedEntry, Denial, Receipt } from '@kest/audit'
import type { KestEntry } from '@kest/core'
import { shortHash } from '../show/short-hash.js'
import { denialDetails, entryDetails } from './details.js'
import { type GraphNode, STATUS } from './graph-node.js'
import { plain, plainList } from './plain.js'

const NONE: readonly string[] = []

/** @param whole whether the signed entry itself is among its details */
export function entryNode(one: AuditedEntry, index: number, anchored: boolean, whole: boolean): GraphNode {
  const { entry, service, trustScore, taints } = one
  const status = one.status === 'verified' && !anchored ? 'consistent' : one.status
  const policies = policiesOf(entry)
  const trust = trustScore === null ? STATUS[status] : `trust ${trustScore}, ${STATUS[status]}`
  return {
    index,
    status,
    title: plain(service),
    lines: [
      plain(entry.operation),
      trust,
      ...(taints.length === 0 ? [] : [`taints: ${plainList(taints)}`]),
      ...(policies.length === 0 ? [] : [`policies: ${plainList(policies)}`]),
    ],
    operation: plain(entry.operation),
    trust: trustScore,
    taints: taints.map(plain),
    details: entryDetails(one, status, whole),
  }
}

export function missingNode(index: number, hash: string): GraphNode {
  return {
    index,
    status: 'missing',
    title: shortHash(hash),
    lines: [STATUS.missing],
    operation: null,
    trust: null,
    taints: NONE,
    details: [
      {
        heading: 'Verdict',
        fields: [
          ['verdict', STATUS.missing],
          ['hash', hash],
        ],
      },
    ],
  }
}

/** Of an entry that only a neighbour of its process has, as a receipt (K-RECEIPT). */
export function heldNode({ hash, principal, operation, holder }: Receipt, index: number): GraphNode {
  const node = missingNode(index, hash)
  const held = `held by ${holder === null ? 'a neighbour' : plain(holder)}, as a receipt`
  return {
    ...node,
    title: plain(principal),
    lines: [plain(operation), STATUS.missing, held],
    details: [
      ...node.details,
      {
        heading: 'Receipt',
        fields: [
          ['principal', plain(principal)],
          ['operation', plain(operation)],
          ['held by', holder === null ? 'nobody known' : plain(holder)],
        ],
      },
    ],
  }
}

/** Of what its principal has signed (K-DENIAL), or an unsigned span says, which is no evidence (K-AUDIT). */
export function deniedNode(denial: Denial, index: number): GraphNode {
  const operation = plain(denial.operation ?? 'an operation')
  const status = denial.signed === null ? 'denied' : 'refused'
  const policies = denial.signed?.policies ?? []
  return {
    index,
    status,
    title: plain(denial.workloadId ?? denial.service ?? 'nobody named'),
    lines: [
      operation,
      STATUS[status],
      ...(denial.code === null ? [] : [plain(denial.code)]),
      ...(policies.length === 0 ? [] : [`policies: ${plainList(policies)}`]),
    ],
    operation,
    trust: null,
    taints: NONE,
    details: denialDetails(denial),
  }
}

function policiesOf({ policy_context: context }: KestEntry): string[] {
  const { enterprise_policies, platform_policies, app_policies, function_policies } = context
  return [...enterprise_policies, ...platform_policies, ...app_policies, ...function_policies]
}
