import { type Choices, packageOf, workloadOf } from './choices.js'
import type { WrittenFile } from './written-file.js'

interface Part {
  /** What is imported: module → names. */
  readonly imports: Readonly<Record<string, readonly string[]>>
  readonly value: string
}

/** The module that configures Kest, which the service imports before anything else. */
export function setupModule(choices: Choices): WrittenFile {
  const engine = engineOf(choices)
  const exporter = choices.exporter === 'otlp' ? "exporter: 'otlp'" : "exporter: 'file', endpoint: 'spans'"
  const text = `// Who this service is, who decides for it, and where its record goes. KEST_CONFIG names the deployment file.
${importsOf(choices, engine)}

${identityOf(choices)}
configure({
  identity,
  engine: ${engine.value},
  trust: ${trustOf(choices)},
  telemetry: setupTelemetry({ serviceName: '${choices.name}', ${exporter}, flushOn: ['SIGTERM', 'SIGINT'] }),
})
// The services that it calls, such as 'http://payments:8000': no other origin sees a passport.
patchGlobalFetch({ propagateTo: [] })
`
  return { path: 'kest.mjs', text, about: 'configures Kest; imported by the service' }
}

function importsOf({ identity }: Choices, { imports }: Part): string {
  const core = ['configure', ...(identity === 'local' ? ['createKeySource', 'LocalEd25519Provider'] : [])]
  const others: Record<string, readonly string[]> = {
    '@kest/core': [...core, ...(imports['@kest/core'] ?? [])],
    ...(identity === 'spire' ? { '@kest/spiffe': ['createX509KeySource', 'SPIREProvider'] } : {}),
    '@kest/telemetry': ['setupTelemetry'],
    '@kest/undici': ['patchGlobalFetch'],
  }
  return Object.entries({ ...imports, ...others })
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([module, names]) => `import { ${[...names].sort(byName).join(', ')} } from '${module}'`)
    .join('\n')
}

function byName(one: string, other: string): number {
  return one.toLowerCase() < other.toLowerCase() ? -1 : 1
}

function engineOf(choices: Choices): Part {
  const name = packageOf(choices)
  switch (choices.engine) {
    case 'opa':
      return {
        imports: { '@kest/opa': ['OPAPolicyEngine'] },
        value: "new OPAPolicyEngine({ url: process.env['OPA_URL'] ?? 'http://127.0.0.1:8181' })",
      }
    case 'rego':
      return {
        imports: { '@kest/opa': ['RegoWasmEngine'] },
        value: "await RegoWasmEngine.load(new URL('./policies/bundle.tar.gz', import.meta.url))",
      }
    case 'cedar':
      return {
        imports: { '@kest/cedar': ['CedarWasmEngine'] },
        value: `await CedarWasmEngine.load({ policies: new URL('./policies/${name}.cedar', import.meta.url) })`,
      }
    case 'function':
      return {
        imports: { '@kest/core': ['createFunctionEngine'], [`./policies/${name}.mjs`]: ['policies'] },
        value: 'createFunctionEngine(policies)',
      }
  }
}

function identityOf(choices: Choices): string {
  if (choices.identity === 'spire')
    return 'const identity = await SPIREProvider.connect() // SPIFFE_ENDPOINT_SOCKET'
  return `// A key of this process, for development: nobody vouches for it.
const identity = new LocalEd25519Provider({ workloadId: '${workloadOf(choices)}' })`
}

function trustOf({ identity }: Choices): string {
  if (identity === 'spire') return 'createX509KeySource(identity.source)'
  return 'createKeySource({ [identity.getWorkloadId()]: [identity.getPublicJwk()] })'
}
