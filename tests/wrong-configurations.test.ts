import { describe, expect, it, onTestFinished, vi } from 'vitest'
import * as cedar from '../packages/cedar/dist/index.js'
import * as core from '../packages/core/dist/index.js'
import { MockIdentityProvider, MockPolicyEngine } from '../packages/core/dist/testing/index.js'
import * as express from '../packages/express/dist/index.js'
import * as opa from '../packages/opa/dist/index.js'
import * as spiffe from '../packages/spiffe/dist/index.js'
import { setupTelemetry } from '../packages/telemetry/dist/index.js'
import * as undici from '../packages/undici/dist/index.js'

const identity = new MockIdentityProvider('service')
const engine = new MockPolicyEngine()
const logger: core.Logger = { debug() {}, info() {}, warn() {}, error() {} }
const trust = core.createKeySource({ [identity.getWorkloadId()]: [identity.getPublicJwk()] })
const jwk = identity.getPublicJwk()
const kest = core.createKest({ identity, engine, trust, logger })
const bundles = { getX509Bundle: () => undefined, generation: 0, current: () => undefined }

/** As one writes it down by mistake → where the error says it is, and what it says belongs there. */
const MISTAKES: readonly [string, () => unknown, RegExp, RegExp][] = [
  [
    'nothing is configured',
    () => core.getActiveKest(),
    /not configured/,
    /configure\(\{ identity, engine, trust \}\)/,
  ],
  ['a misspelled part', () => make({ identiy: identity }), /Kest: .*"identiy"/, /there are: identity/],
  [
    'no options',
    () => core.createKest(undefined as never),
    /Kest: /,
    /expected an object of options, got undefined/,
  ],
  [
    'a class for an instance',
    () => make({ identity: MockIdentityProvider }),
    /identity: /,
    /make one with new/,
  ],
  [
    'a provider that was not awaited',
    () => make({ identity: Promise.resolve(identity) }),
    /identity: /,
    /await it/,
  ],
  [
    'a source of SVIDs as identity',
    () => make({ identity: bundles }),
    /identity: /,
    /SPIREProvider\.of\(source\)/,
  ],
  ['identity and engine exchanged', () => make({ identity: engine }), /identity: /, /it belongs to engine/],
  ['engine and identity exchanged', () => make({ engine: identity }), /engine: /, /it belongs to identity/],
  [
    'a provider as trust',
    () => make({ trust: identity }),
    /trust: /,
    /createKeySource\(\{ \[identity\.getWorkloadId\(\)\]/,
  ],
  ['a provider among sources', () => make({ trust: [trust, identity] }), /trust: /, /createKeySource/],
  [
    'a source of bundles as trust',
    () => make({ trust: bundles }),
    /trust: /,
    /createX509KeySource\(source\)/,
  ],
  [
    'keys as trust',
    () => make({ trust: { 'spiffe://a.b/c': [jwk] } }),
    /trust: /,
    /createKeySource\(\{ principal: \[jwk\] \}\)/,
  ],
  ['trust that was not awaited', () => make({ trust: Promise.resolve(trust) }), /trust: /, /await it/],
  [
    'a default origin redefined',
    () => make({ origins: { internet: 90 } }),
    /origins: "internet"/,
    /fixed by the protocol/,
  ],
  [
    'an origin of more than all trust',
    () => make({ origins: { partner: 900 } }),
    /origins: "partner"/,
    /integer 0…100/,
  ],
  [
    'a time-out in seconds with a fraction',
    () => make({ policyTimeoutMs: 0.5 }),
    /policyTimeoutMs/,
    /positive integer/,
  ],
  ['an unknown limit', () => make({ limits: { entry: 1 } }), /limits: unknown limit "entry"/, /entries/],
  [
    'a bare name as workload id',
    () => new core.LocalEd25519Provider({ workloadId: 'orders' }),
    /workloadId/,
    /"spiffe:\/\/example\.org\/orders"/,
  ],
  [
    'one key that is in no list',
    () => core.createKeySource({ 'spiffe://a.b/c': jwk } as never),
    /keys of "spiffe:\/\/a\.b\/c"/,
    /JWKs in a list/,
  ],
  [
    'remote keys by http',
    () => core.createRemoteKeySource({ 'spiffe://a.b/c': 'http://c.example/jwks' }),
    /keys of "spiffe:\/\/a\.b\/c"/,
    /https URL/,
  ],
  [
    'remote keys that age later than they are stale',
    () => core.createRemoteKeySource({}, { maxStaleMs: 1 }),
    /maxAgeMs \(600000\)/,
    /longer than maxStaleMs \(1\)/,
  ],
  [
    'an edge with a misspelled origin',
    () => kest.listener({ origin: 'user-input' }),
    /listener\.origin/,
    /there are: .*user_input/,
  ],
  [
    'an operation with a misspelled origin',
    () => kest.operation({ operation: 'read', policy: 'p', origin: 'sytem' }),
    /operation "read": origin/,
    /there are: system/,
  ],
  [
    'the same where it begins',
    () => kest.begin({ operation: 'read', policy: 'p', origin: 'sytem' }),
    /operation "read": origin/,
    /configure\(\{ origins: /,
  ],
  [
    'an operation without a policy',
    () => kest.operation({ operation: 'read' } as never),
    /operation "read"/,
    /policy/,
  ],
  [
    'an internal listener without trust',
    () => core.createKest({ identity, logger }).listener(),
    /listener/,
    /needs trust material/,
  ],
  [
    'an option of internal listeners at an edge',
    () => kest.listener({ origin: 'internet', maxAgeMs: 1 }),
    /listener\.maxAgeMs/,
    /means nothing at an edge/,
  ],
  [
    'hop tokens for nobody',
    () => kest.listener({ binding: 'hop' }),
    /listener\.audiences/,
    /origins that this service is called by/,
  ],
  [
    'a misspelled tip of a kept passport',
    () => kest.resume({ passport: [], tips: [] } as never, {}),
    /resume: .*"tips"/,
    /there are: passport, tip/,
  ],
  [
    'no scope',
    () => undici.withKest({ dispatch: () => true } as never, {} as never),
    /propagateTo/,
    /which origins receive the passport/,
  ],
  [
    'a scope with a path',
    () => kest.outbound({ propagateTo: ['https://orders/v1'] }),
    /propagateTo/,
    /"https:\/\/orders:8443"/,
  ],
  [
    'a scope that is one text',
    () => kest.outbound({ propagateTo: 'https://orders' as never }),
    /propagateTo/,
    /a list of origins/,
  ],
  [
    'express with an instance of nothing',
    () => express.kestExpress({ kest: {} as never }),
    /kestExpress\.kest/,
    /what createKest or configure answered/,
  ],
  [
    'OPA without a scheme',
    () => new opa.OPAPolicyEngine({ url: 'localhost:8181' }),
    /OPAPolicyEngine\.url/,
    /http: or https:/,
  ],
  [
    'Cedar with a misspelled option',
    () => new cedar.CedarPolicyEngine({ uri: 'http://localhost' } as never),
    /CedarPolicyEngine: .*"uri"/,
    /there are: .*url/,
  ],
  [
    'a provider as bundles',
    () => spiffe.createX509KeySource({ source: bundles } as never),
    /x509: /,
    /give its `source`/,
  ],
  [
    'an address of no kind',
    () => new spiffe.WorkloadApiClient({ address: '/run/spire/agent.sock' }),
    /address|SPIFFE_ENDPOINT_SOCKET|Workload API/,
    /unix:/,
  ],
  [
    'telemetry of no service',
    () => setupTelemetry({ exporter: 'console' }),
    /serviceName/,
    /OTEL_SERVICE_NAME/,
  ],
]

describe('a wrong configuration', () => {
  it.each(MISTAKES)(
    'answers what is wrong, where, and what to write instead: %s',
    async (_, make, where, instead) => {
      vi.stubEnv('OTEL_SERVICE_NAME', undefined)
      vi.stubEnv('OTEL_RESOURCE_ATTRIBUTES', undefined)
      onTestFinished(() => void vi.unstubAllEnvs())
      const error = await failureOf(make)
      expect(error?.code).toMatch(/^ERR_(?:KEST_CONFIG|SPIFFE_(?:CONFIG|ADDRESS))$/)
      expect(error?.message).toMatch(where)
      expect(error?.message).toMatch(instead)
    },
  )
})

function make(options: object): core.Kest {
  return core.createKest({ identity, engine, trust, logger, ...options })
}

async function failureOf(call: () => unknown): Promise<{ code: string; message: string } | undefined> {
  try {
    await call()
  } catch (error) {
    return error as { code: string; message: string }
  }
  return undefined
}
