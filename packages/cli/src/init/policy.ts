import { type Choices, packageOf, policyOf, workloadOf } from './choices.js'
import type { WrittenFile } from './written-file.js'

const LEAST_TRUST = 40

/** A policy to begin with, and its test. */
export function policyFiles(choices: Choices): readonly WrittenFile[] {
  switch (choices.engine) {
    case 'opa':
    case 'rego':
      return rego(choices)
    case 'cedar':
      return cedar(choices)
    case 'function':
      return functions(choices)
  }
}

function rego(choices: Choices): WrittenFile[] {
  const name = packageOf(choices)
  const policy = `package ${name}

# METADATA
# description: Whoever reads has some trust.
# entrypoint: true
default read := {"allow": false, "reason": "its trust is less than ${LEAST_TRUST}"}

read := {"allow": true} if input.trust_score >= ${LEAST_TRUST}
`
  const test = `package ${name}_test

import data.${name}

test_with_enough_trust if ${name}.read.allow with input as {"trust_score": ${LEAST_TRUST}}

test_not_with_less if ${name}.read.allow == false with input as {"trust_score": ${LEAST_TRUST - 1}}

test_not_without_anything if ${name}.read.allow == false with input as {}
`
  return [
    { path: `policies/${name}.rego`, text: policy, about: 'a policy' },
    { path: `policies/${name}_test.rego`, text: test, about: 'its test: opa test policies' },
  ]
}

function cedar(choices: Choices): WrittenFile[] {
  const name = packageOf(choices)
  const policy = `@id("${name}-read")
permit(principal, action == Action::"${policyOf(choices)}", resource)
when { context.trust_score >= ${LEAST_TRUST} };
`
  const engine = `import { CedarWasmEngine } from '@kest/cedar'

/** @type {import('@kest/core').PolicyEngine} */
const engine = await CedarWasmEngine.load({ policies: new URL('./${name}.cedar', import.meta.url) })`
  return [
    { path: `policies/${name}.cedar`, text: policy, about: 'a policy' },
    {
      path: `policies/${name}.test.mjs`,
      text: testOf(choices, engine),
      about: 'its test: node --test policies/*.test.mjs',
    },
  ]
}

function functions(choices: Choices): WrittenFile[] {
  const name = packageOf(choices)
  const policy = `/** @type {Record<string, import('@kest/core').PolicyFunction>} */
export const policies = {
  // Whoever reads has some trust.
  '${policyOf(choices)}': ({ trust_score }) => ({
    allow: trust_score >= ${LEAST_TRUST},
    reason: 'it asks for a trust of ${LEAST_TRUST}',
  }),
}
`
  const engine = `import { createFunctionEngine } from '@kest/core'
import { policies } from './${name}.mjs'

/** @type {import('@kest/core').PolicyEngine} */
const engine = createFunctionEngine(policies)`
  return [
    { path: `policies/${name}.mjs`, text: policy, about: 'a policy' },
    {
      path: `policies/${name}.test.mjs`,
      text: testOf(choices, engine),
      about: 'its test: node --test policies/*.test.mjs',
    },
  ]
}

/** Asks the engine as Kest does. */
function testOf(choices: Choices, engine: string): string {
  const policy = policyOf(choices)
  const workload = workloadOf(choices)
  return `import assert from 'node:assert/strict'
import { test } from 'node:test'
${engine}

/** @param {number} trust what a policy sees of a request with so much of it */
async function allows(trust) {
  /** @type {import('@kest/core').PolicyContext} */
  const context = {
    subject: {
      workload: '${workload}',
      user: null,
      agent: null,
      task: null,
      identity_by: null,
      trust_score: trust,
      taints: [],
    },
    object: { id: '1', attributes: {} },
    environment: {
      is_root: true,
      source_type: 'user_input',
      parent_hash: '0',
      policy_names: ['${policy}'],
      policy_tier: 'function',
      active_deviations: [],
      classification: 'system',
    },
    identity: '${workload}',
    trust_score: trust,
    lineage: { depth: 0, principals: [], operations: [], classifications: [] },
  }
  const request = { entryId: 'test', policies: /** @type {const} */ (['${policy}']), context }
  const decision = await engine.evaluate(request, { signal: new AbortController().signal })
  return typeof decision === 'boolean' ? decision : decision.allow
}

test('with enough trust', async () => assert.equal(await allows(${LEAST_TRUST}), true))

test('not with less', async () => assert.equal(await allows(${LEAST_TRUST - 1}), false))
`
}
