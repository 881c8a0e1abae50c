import type { FindingCode } from '@kest/audit'
import type { KestErrorCode } from '@kest/core'

/** A refusal that comes before Kest has anything to say: the TLS handshake, or Node's own bound on headers. */
export type OtherRefusal = 'TLS' | 'HTTP 431'

/**
 * What becomes of an attack. `refused`: the operation did not run. `visible`: it ran, and an audit of what was exported has
 * these findings. `undetectable`: it ran, and nothing is found. `none`: there is no such attack here.
 */
export type Outcome =
  | { readonly kind: 'refused'; readonly code: KestErrorCode | OtherRefusal }
  | { readonly kind: 'visible'; readonly findings: readonly FindingCode[] }
  | { readonly kind: 'undetectable' }
  | { readonly kind: 'none' }

export const refused = (code: KestErrorCode | OtherRefusal): Outcome => ({ kind: 'refused', code })
export const visible = (...findings: readonly FindingCode[]): Outcome => ({ kind: 'visible', findings })
export const undetectable: Outcome = { kind: 'undetectable' }
export const none: Outcome = { kind: 'none' }

/** As the table in SECURITY.md has it. */
export function outcomeText(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'refused':
      return outcome.code.startsWith('ERR_') ? `refused: \`${outcome.code}\`` : `refused: ${outcome.code}`
    case 'visible':
      return `visible: ${outcome.findings.map((code) => `\`${code}\``).join(', ')}`
    case 'undetectable':
      return '**undetectable**'
    case 'none':
      return '–'
  }
}
