import type { Fault } from './fault.js'
import { DEPLOYMENT_FAULTS, HOP_FAULTS, PROCESS_FAULTS } from './hops.js'
import { IDENTITY_FAULTS } from './identities.js'
import { COLLECTOR_FAULTS, POLICY_FAULTS } from './servers.js'

/** All that is tried, in the order of `docs/reliability.md`. */
export const FAULTS: Readonly<Record<string, readonly Fault[]>> = {
  'Policies: OPA': POLICY_FAULTS,
  'Records: the Collector': COLLECTOR_FAULTS,
  'Identities: the SPIFFE agent and server': IDENTITY_FAULTS,
  'Hops and what is between them': HOP_FAULTS,
  'A process and its host': PROCESS_FAULTS,
  'The deployment file': DEPLOYMENT_FAULTS,
}

/** As the document has it. */
export function tablesOf(faults: typeof FAULTS): string {
  return Object.entries(faults)
    .map(([title, rows]) => `### ${title}\n\n${HEAD}\n${rows.map(rowOf).join('\n')}\n`)
    .join('\n')
}

const HEAD = '| fault | clients see | a log says | an operator |\n|---|---|---|---|'

function rowOf({ name, codes, sometimes, log, remedy }: Fault): string {
  const [first, ...others] = codes
  const seen = [first === undefined ? 'answers' : code(first)]
  if (others.length > 0) seen.push(`sometimes ${others.map(code).join(', ')}`)
  if (sometimes !== undefined) seen.push(`${code(sometimes[0])} ${sometimes[1]}`)
  const said = log === null ? '' : `${log[0]}: ${code(log[1])}`
  return `| ${name} | ${seen.join('; ')} | ${said} | ${remedy} |`
}

function code(text: string): string {
  return `\`${text}\``
}
