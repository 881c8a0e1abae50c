import { type Choices, workloadOf } from './choices.js'
import type { WrittenFile } from './written-file.js'

/** What a user's request is worth, as `user_input` has it. */
const CEILING = 40

/** The deployment file: who may begin lineage, and what is only observed, until when. */
export function deploymentFile(choices: Choices): WrittenFile {
  const text = `# yaml-language-server: $schema=./node_modules/@kest/core/schemas/deployment.json
# What the deployment decides, and code cannot loosen: KEST_CONFIG names this file.
policies:
  enterprise: []
  platform: []
  application: []
${rootsOf(choices)}${observeOf(choices)}`
  return { path: 'kest.yaml', text, about: 'the deployment file' }
}

function rootsOf(choices: Choices): string {
  const item = `  - workload: ${workloadOf(choices)}\n    ceiling: ${CEILING}\n    identity: true\n`
  if (choices.edge) return `# Who may begin lineage, and what it is worth then.\nroots:\n${item}`
  return `# Who may begin lineage, and what it is worth then: the edges whose requests come here.
# roots:
#   - workload: spiffe://${choices.trustDomain}/edge
#     ceiling: ${CEILING}
#     identity: true
`
}

function observeOf(choices: Choices): string {
  const { observe } = choices
  if (observe === null) return ''
  const common = `    reason: in its first days what would be refused is recorded
    approver: ${JSON.stringify(observe.approver)}
    expires: ${observe.expires.toISOString()}
`
  const workload = workloadOf(choices)
  return `# Until it expires refusals are recorded, and not made. Look at what would have been refused, mend it, then take this out.
observe:
  - what: policy
    scope: { all: true }
${common}  - what: lineage
    scope: { workload: "${workload}" }
${common}`
}
