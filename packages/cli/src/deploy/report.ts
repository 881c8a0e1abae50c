import { DEPLOYMENT_TIERS, type Deployment, type InForce } from '@kest/core'
import type { Colors } from '../terminal/colors.js'
import { jsonLine, visible } from '../terminal/escape.js'
import { timeText } from '../terminal/time-text.js'
import type { Warning } from './warning.js'

/** What was asked for, and what holds of it. */
export interface Asked {
  readonly operation: string
  readonly workload: string | null
  readonly at: number
  readonly inForce: InForce
}

/** All that there is to say of a file. */
export interface Checked {
  readonly file: string
  readonly deployment: Deployment
  readonly asked: Asked | null
  readonly warnings: readonly Warning[]
}

export function checkedText({ file, deployment, asked, warnings }: Checked, colors: Colors): string {
  const { policies, deviations, observe = [], roots, rootsPolicy = 'report' } = deployment
  const tiers = DEPLOYMENT_TIERS.map((tier) => `${policies[tier].length} ${tier}`).join(', ')
  const begins = roots === undefined ? 'no list of roots' : `${roots.rules.length} roots (${rootsPolicy})`
  const lines = [
    `${visible(file)}: ${colors.green('valid')}`,
    `  policies: ${tiers}; ${deviations.length} deviations, ${observe.length} observations, ${begins}`,
    ...(asked === null ? [] : ['', ...askedLines(asked, colors)]),
    ...(warnings.length === 0 ? [] : ['']),
    ...warnings.map(
      ({ code, at, message }) => `${colors.yellow(`! ${code}`)} ${visible(at)}: ${visible(message)}`,
    ),
  ]
  return `${lines.join('\n')}\n`
}

function askedLines({ operation, workload, at, inForce }: Asked, colors: Colors): string[] {
  const { enforced, observed, deviations, lineage } = inForce
  const line = (what: string, text: string): string => `  ${what.padEnd(10)}${visible(text)}`
  const hint = line('', "the operation's own policies are not in the file: --policy")
  const own = [...enforced, ...observed].some(({ tier }) => tier === 'function')
  return [
    `${colors.bold(visible(operation))}${workload === null ? '' : ` of ${visible(workload)}`}, at ${timeText(at)}`,
    line(lineage, 'lineage'),
    ...enforced.map(({ tier, policies }) => line('enforced', `${tier}: ${policies.join(', ')}`)),
    ...observed.map(({ tier, policy, approver }) => line('observed', `${tier}: ${policy} (${approver})`)),
    ...deviations.map(({ tier, policy, reason, approver }) =>
      line('exempted', `${tier}: ${policy} (${approver}: ${reason})`),
    ),
    ...(own ? [] : [colors.dim(hint)]),
  ]
}

/** One object. */
export function checkedJson({ file, deployment, asked, warnings }: Checked): string {
  const { policies, deviations, observe = [], roots, rootsPolicy = null } = deployment
  return jsonLine({
    file,
    valid: true,
    policies,
    deviations: deviations.length,
    observations: observe.length,
    roots: roots?.rules.length ?? null,
    roots_policy: roots === undefined ? null : (rootsPolicy ?? 'report'),
    in_force: asked === null ? null : inForceJson(asked),
    warnings,
  })
}

function inForceJson({ operation, workload, at, inForce }: Asked): object {
  const { enforced, observed, deviations, lineage } = inForce
  return {
    operation,
    workload,
    at_ms: at,
    lineage,
    enforced,
    observed: observed.map(({ tier, policy, approver }) => ({ tier, policy, approver })),
    deviations,
  }
}

export function invalidJson(file: string, message: string): string {
  return jsonLine({ file, valid: false, message, warnings: [] })
}
