import { type Choices, packageOf, policyOf } from './choices.js'

/** What comes next, as commands, one a line. */
export function nextSteps(choices: Choices, compose: boolean): readonly string[] {
  const run = 'KEST_CONFIG=kest.yaml node service.mjs'
  return [
    `npm install ${packagesOf(choices).join(' ')}`,
    'npm install --save-dev @kest/cli',
    ...(compose ? ['docker compose -f compose.kest.yaml up --detach'] : []),
    testOf(choices),
    ...(choices.engine === 'rego'
      ? [
          `opa build -t wasm -e ${policyOf(choices)} -o policies/bundle.tar.gz policies/${packageOf(choices)}.rego`,
        ]
      : []),
    'git apply kest.patch   # look at it first',
    choices.identity === 'spire'
      ? `npx kest dev --workloads ${choices.name} --trust-domain ${choices.trustDomain} --write-trust trust.json -- env ${run}`
      : run,
    `curl http://127.0.0.1:8000/${choices.name}/1`,
  ]
}

function testOf({ engine }: Choices): string {
  return engine === 'opa' || engine === 'rego' ? 'opa test policies' : 'node --test policies/*.test.mjs'
}

/** All that is imported, by name. */
export function packagesOf({ framework, identity, engine }: Choices): readonly string[] {
  return [
    '@kest/core',
    `@kest/${framework}`,
    framework,
    ...(identity === 'spire' ? ['@kest/spiffe'] : []),
    ...(engine === 'opa' || engine === 'rego' ? ['@kest/opa'] : []),
    ...(engine === 'cedar' ? ['@kest/cedar'] : []),
    '@kest/telemetry',
    '@kest/undici',
    '@opentelemetry/api',
  ]
}
