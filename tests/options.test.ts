import { Agent, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { describe, expect, it, onTestFinished } from 'vitest'
import * as audit from '../packages/audit/dist/index.js'
import * as cedar from '../packages/cedar/dist/index.js'
import * as core from '../packages/core/dist/index.js'
import { buildPassport, MockIdentityProvider, MockPolicyEngine } from '../packages/core/dist/testing/index.js'
import * as express from '../packages/express/dist/index.js'
import { kestFastify } from '../packages/fastify/dist/index.js'
import * as fleet from '../packages/fleet/dist/index.js'
import * as grpc from '../packages/grpc/dist/index.js'
import * as http from '../packages/http/dist/index.js'
import * as mcp from '../packages/mcp/dist/index.js'
import * as amqplib from '../packages/messaging/dist/amqplib/index.js'
import * as bullmq from '../packages/messaging/dist/bullmq/index.js'
import * as kafkajs from '../packages/messaging/dist/kafkajs/index.js'
import * as nats from '../packages/messaging/dist/nats/index.js'
import * as platformatic from '../packages/messaging/dist/platformatic-kafka/index.js'
import * as sqs from '../packages/messaging/dist/sqs/index.js'
import * as nestjs from '../packages/nestjs/dist/index.js'
import * as opa from '../packages/opa/dist/index.js'
import * as redis from '../packages/redis/dist/index.js'
import { createDevAuthority } from '../packages/spiffe/dist/dev-authority/index.js'
import * as spiffe from '../packages/spiffe/dist/index.js'
import { checkOtlp, setupTelemetry } from '../packages/telemetry/dist/index.js'
import * as undici from '../packages/undici/dist/index.js'
import { callablesWithOptions } from './support/callables.js'

const { fastify } = createRequire(new URL('../packages/fastify/package.json', import.meta.url))('fastify')
const { NestFactory } = createRequire(new URL('../packages/nestjs/package.json', import.meta.url))(
  '@nestjs/core',
)
const QUIETLY = { logger: false, abortOnError: false }
const identity = new MockIdentityProvider('service')
const kest = core.createKest({ identity, engine: new MockPolicyEngine(), logger: silent() })
const operation = { operation: 'read', policy: 'read', origin: 'system' } as const
const passport = new core.Passport([])
const pseudonyms = new core.MemoryPseudonymKeys()
const owner = { tenant: null }
const producing = { kest, propagateTo: [] }
const consuming = { kest, operation: { policy: 'read' }, deadLetter: () => {} }
const run = async () => {}
const reading = { kest, operation: { policy: 'read', origin: 'system' }, origin: 'system', deadLetter: run }
const text = { name: 'text', revision: `test:sha256:${'a'.repeat(64)}`, replay: () => ({}) } as never
const mtls = { authorize: () => true }

/** What is public and takes options → how it is called with these, as its last or only optional argument. */
const CALLS: Record<string, (options: never) => unknown> = {
  'new @kest/audit.Audit 0': (options) => new audit.Audit(options),
  '@kest/audit.Audit#traces 0': (options) => new audit.Audit({ trust: [] }).traces(options).next(),
  'new @kest/audit.ObservedTally 0': (options) => new audit.ObservedTally(options),
  'new @kest/audit.PolicyReplay 0': (options) => new audit.PolicyReplay(options),
  'new @kest/audit.Roster 0': (options) => new audit.Roster(options),
  'new @kest/audit.RevisionTally 0': (options) => new audit.RevisionTally(options),
  'new @kest/audit.Settling 0': (options) => new audit.Settling(options),
  'new @kest/audit.TraceJudge 0': (options) => new audit.TraceJudge(options),
  '@kest/audit.resolveSettling 0': (options) => audit.resolveSettling(options),
  '@kest/fleet.Fleet.start 0': (options) => fleet.Fleet.start(options),
  '@kest/fleet.createTopics 0': (options) => fleet.createTopics(options),
  '@kest/fleet.readFindings 0': (options) => fleet.readFindings(options),
  '@kest/fleet.readVerdicts 0': (options) => fleet.readVerdicts(options),
  'new @kest/audit.WhatIf 0': (options) => new audit.WhatIf({ text, ...(options as object) }),
  '@kest/audit.evidenceOf 1': (options) => audit.evidenceOf({} as never, options),
  'new @kest/audit.OpenSequences 0': (options) => new audit.OpenSequences(options),
  'new @kest/audit.TraceFollower 0': (options) => new audit.TraceFollower(options),
  '@kest/audit.followFiles 1': (options) => audit.followFiles([], options).next(),
  '@kest/audit.parseTraceJson 1': (options) => audit.parseTraceJson({}, options),
  '@kest/audit.readFiles 1': (options) => audit.readFiles([], options).next(),
  '@kest/audit.readStream 2': (options) => audit.readStream([] as never, 'stream', options).next(),
  '@kest/audit.OtlpReceiver.listen 0': (options) => audit.OtlpReceiver.listen(options),
  'new @kest/cedar.CedarPolicyEngine 0': (options) => new cedar.CedarPolicyEngine(options),
  '@kest/cedar.CedarReplay.load 0': (options) => cedar.CedarReplay.load(options),
  '@kest/cedar.CedarWasmEngine.load 0': (options) => cedar.CedarWasmEngine.load(options),
  'new @kest/core.MemoryReplayStore 0': (options) => new core.MemoryReplayStore(options),
  'new @kest/core.MemoryPseudonymKeys 0': (options) => new core.MemoryPseudonymKeys(options),
  '@kest/core.MemoryPseudonymKeys#all 0': (options) => pseudonyms.all({ ...owner, ...(options as object) }),
  '@kest/core.MemoryPseudonymKeys#current 0': (options) =>
    pseudonyms.current({ ...owner, ...(options as object) }),
  '@kest/core.MemoryPseudonymKeys#destroy 0': (options) =>
    pseudonyms.destroy({ ...owner, ...(options as object) }),
  '@kest/core.MemoryPseudonymKeys#find 1': (options) =>
    pseudonyms.find('k1', { ...owner, ...(options as object) }),
  '@kest/core.MemoryPseudonymKeys#rotate 0': (options) =>
    pseudonyms.rotate({ ...owner, ...(options as object) }),
  '@kest/core.PseudonymKeyFile.open 1': (options) => core.PseudonymKeyFile.open('keys.json', options),
  '@kest/core.createIngress 1': (options) => core.createIngress('adapter', { kest, ...(options as object) }),
  'new @kest/core.RouteOperations 1': (options) =>
    new core.RouteOperations('protect()', { policy: 'read', ...(options as object) }),
  '@kest/core.Exchange#begin 1': async (options) => {
    const request = { headers: {}, rawHeaders: [] } as never
    const response = new ServerResponse(request)
    const exchange = await core
      .createIngress('adapter', { kest, origin: 'internet' })
      .receive({ request, response })
    await exchange.begin(kest.operation(operation), { args: [], ...(options as object) })
  },
  '@kest/core.configure 0': (options) => core.configure(options),
  '@kest/core.verified 0': (options) => core.verified({ ...operation, ...(options as object) }, () => 1),
  '@kest/core.createKest 0': (options) => core.createKest(options),
  '@kest/core.Kest#operation 0': (options) => kest.operation({ ...operation, ...(options as object) }),
  '@kest/core.Kest#begin 0': (options) => kest.begin({ ...operation, ...(options as object) }),
  '@kest/core.Kest#begin 1': (options) => kest.begin(operation, options),
  '@kest/core.Kest#verified 0': (options) => kest.verified({ ...operation, ...(options as object) }, () => 1),
  '@kest/core.Kest#listener 0': (options) => kest.listener(options),
  '@kest/core.Kest#messages 0': (options) => kest.messages(options),
  '@kest/core.Kest#outbound 0': (options) => kest.outbound({ propagateTo: [], ...(options as object) }),
  '@kest/core.Kest#extract 1': (options) => kest.extract({}, options),
  '@kest/core.Kest#resume 0': (options) => kest.resume({ passport, ...(options as object) }, { mode: 'off' }),
  '@kest/core.Kest#resume 1': (options) => kest.resume({ passport }, options),
  '@kest/core.Kest#inputHash 1': (options) =>
    kest.inputHash({}, { operation: 'read', ...(options as object) }),
  '@kest/core.Kest#inject 2': (options) => kest.inject({}, 'http://localhost', options),
  '@kest/core.deploymentInForce 1': (options) =>
    core.deploymentInForce(
      { policies: { enterprise: [], platform: [], application: [] }, deviations: [] },
      { operation: 'read', ...(options as object) },
    ),
  '@kest/core.canonicalize 1': (options) => core.canonicalize({}, options),
  'new @kest/core.EntriesVerifier 0': (options) =>
    new core.EntriesVerifier({ trust: [], ...(options as object) }),
  'new @kest/core.OperationDefinition 0': (options) =>
    new core.OperationDefinition({ ...operation, ...(options as object) }),
  '@kest/core.readRegularFile 1': (options) => core.readRegularFile('README.md', options),
  '@kest/core.createKeySource 1': (options) => core.createKeySource({}, options),
  'new @kest/core.LocalEd25519Provider 0': (options) => new core.LocalEd25519Provider(options),
  '@kest/core.createRemoteKeySource 1': (options) => core.createRemoteKeySource({}, options),
  '@kest/core.OIDCIdentity.create 0': (options) => core.OIDCIdentity.create(options),
  '@kest/core.createOIDCKeySource 1': (options) => core.createOIDCKeySource({}, options),
  '@kest/core.createTokenVerifier 0': (options) => core.createTokenVerifier(options),
  '@kest/core.createTokenVerifier 1': (options) =>
    core.createTokenVerifier({ insecureDecode: true }, options),
  '@kest/core.resolveLimits 0': (options) => core.resolveLimits(options),
  '@kest/core.createEvidence 0': (options) =>
    core.createEvidence({ passport, trust: {}, ...(options as object) }),
  '@kest/core.keySourcesOf 1': (options) => core.keySourcesOf({}, options),
  '@kest/core.parseEvidence 1': (options) => core.parseEvidence('{}', options),
  '@kest/core.verifyEvidence 1': (options) =>
    core.verifyEvidence(
      { passport, trust: {}, at: 'entry', tip: null, semantics: 'report', roots: null } as never,
      options,
    ),
  '@kest/core.parsePassport 1': (options) => core.parsePassport([], options),
  'new @kest/core.SignatureCache 0': (options) => new core.SignatureCache(options),
  '@kest/core.PassportVerifier.verify 1': (options) =>
    core.PassportVerifier.verify(passport, { providers: {}, ...(options as object) }),
  '@kest/core.verifyPassport 1': (options) =>
    core.verifyPassport(passport, { trust: [], ...(options as object) }),
  '@kest/core.verifyEntries 1': (options) => core.verifyEntries([], { trust: [], ...(options as object) }),
  '@kest/core.policyCombinations 0': (options) =>
    core.policyCombinations({ policies: [], ...(options as object) }),
  '@kest/core.cacheDecisions 1': (options) => core.cacheDecisions(new MockPolicyEngine(), options),
  'new @kest/core.BaggageManager 0': (options) => new core.BaggageManager(options),
  'new @kest/core.MemoryCache 0': (options) => new core.MemoryCache(options),
  '@kest/core.createOutbound 0': (options) =>
    core.createOutbound({ propagateTo: [], logger: silent(), ...(options as object) }),
  '@kest/core/testing.buildPassport 1': (options) => buildPassport([{ by: 'service' }], options),
  '@kest/express.kestExpress 0': (options) => express.kestExpress({ kest, ...(options as object) }),
  '@kest/express.kestJwks 0': (options) => express.kestJwks({ kest, ...(options as object) }),
  '@kest/express.protect 0': (options) => express.protect({ policy: 'read', ...(options as object) }),
  '@kest/express.wrapRouter 1': (options) =>
    express.wrapRouter({} as never, { policy: 'read', ...(options as object) }),
  '@kest/fastify.kestFastify 1': (options) =>
    fastify().register(kestFastify, { kest, origin: 'internet', ...(options as object) }),
  '@kest/nestjs.KestModule.forRoot 0': (options) => {
    const imports = [nestjs.KestModule.forRoot({ kest, origin: 'internet', ...(options as object) })]
    return NestFactory.createApplicationContext({ module: class {}, imports }, QUIETLY)
  },
  '@kest/nestjs.Protect 0': (options) => nestjs.Protect({ policy: 'read', ...(options as object) }),
  '@kest/mcp.kestMcpClient 1': (options) =>
    mcp.kestMcpClient(mcpPeer(), { kest, carry: true, ...(options as object) }),
  '@kest/mcp.protectMcpServer 1': (options) =>
    mcp.protectMcpServer(mcpPeer(), { kest, policy: 'mcp', origin: 'internet', ...(options as object) }),
  'new @kest/opa.OPAPolicyEngine 0': (options) => new opa.OPAPolicyEngine(options),
  '@kest/opa.OPAPolicyEngine#health 0': (options) => {
    const engine = new opa.OPAPolicyEngine({ url: 'http://127.0.0.1:1' })
    onTestFinished(() => engine.close())
    return engine.health(options)
  },
  '@kest/opa.OPAPolicyEngine#knows 1': (options) => {
    const engine = new opa.OPAPolicyEngine({ url: 'http://127.0.0.1:1' })
    onTestFinished(() => engine.close())
    return engine.knows('orders/read', options)
  },
  '@kest/core.createFunctionEngine 1': (options) => core.createFunctionEngine({}, options),
  '@kest/opa.RegoReplay.load 1': (options) => opa.RegoReplay.load('bundle.tar.gz', options),
  '@kest/opa.RegoWasmEngine.load 1': (options) => opa.RegoWasmEngine.load('bundle.tar.gz', options),
  '@kest/messaging/amqplib.wrapConsumer 1': (options) =>
    amqplib.wrapConsumer({} as never, { ...consuming, ...(options as object) }),
  '@kest/messaging/amqplib.wrapProducer 1': (options) =>
    amqplib.wrapProducer({} as never, { ...producing, ...(options as object) }),
  '@kest/messaging/bullmq.wrapFlowProducer 1': (options) =>
    bullmq.wrapFlowProducer({} as never, { ...producing, ...(options as object) }),
  '@kest/messaging/bullmq.wrapProcessor 1': (options) =>
    bullmq.wrapProcessor(() => {}, { ...consuming, ...(options as object) }),
  '@kest/messaging/bullmq.wrapProducer 1': (options) =>
    bullmq.wrapProducer({} as never, { ...producing, ...(options as object) }),
  '@kest/messaging/kafkajs.wrapConsumer 1': (options) =>
    kafkajs.wrapConsumer({ run }, { ...reading, ...(options as object) }),
  '@kest/messaging/kafkajs.wrapProducer 1': (options) =>
    kafkajs.wrapProducer({} as never, { kest, propagateTo: [], ...(options as object) }),
  '@kest/messaging/platformatic-kafka.consumeMessages 2': (options) =>
    platformatic.consumeMessages({} as never, { topics: [] }, { ...reading, ...(options as object) }, run),
  '@kest/messaging/platformatic-kafka.wrapProducer 1': (options) =>
    platformatic.wrapProducer({} as never, { kest, propagateTo: [], ...(options as object) }),
  '@kest/messaging/nats.handleMessages 2': (options) =>
    nats.handleMessages([] as never, () => {}, { ...consuming, ...(options as object) }),
  '@kest/messaging/nats.wrapCallback 1': (options) =>
    nats.wrapCallback(() => {}, { ...consuming, ...(options as object) }),
  '@kest/messaging/nats.wrapProducer 1': (options) =>
    nats.wrapProducer({} as never, { headers: () => ({}) as never, ...producing, ...(options as object) }),
  '@kest/messaging/sqs.wrapConsumer 1': (options) =>
    sqs.wrapConsumer({} as never, { ...consuming, ...(options as object) }),
  '@kest/messaging/sqs.wrapProducer 1': (options) =>
    sqs.wrapProducer({} as never, { ...producing, ...(options as object) }),
  '@kest/redis.RedisCache.connect 0': (options) => redis.RedisCache.connect(options),
  '@kest/spiffe.watchBundleFile 1': (options) => spiffe.watchBundleFile('bundle.json', options),
  '@kest/spiffe.followBundleEndpoint 0': (options) => spiffe.followBundleEndpoint(options),
  'new @kest/spiffe.X509Bundle 2': (options) => new spiffe.X509Bundle('example.org', [], options),
  '@kest/spiffe.createMtlsConnector 1': (options) =>
    spiffe.createMtlsConnector(peerless(), { ...mtls, ...(options as object) }),
  '@kest/spiffe.createMtlsServer 1': (options) =>
    spiffe.createMtlsServer(peerless(), { ...mtls, ...(options as object) }, () => expect.unreachable()),
  '@kest/spiffe.createMtlsServerFactory 1': (options) =>
    spiffe.createMtlsServerFactory(peerless(), { ...mtls, ...(options as object) }),
  '@kest/spiffe.SPIREProvider.connect 0': (options) => spiffe.SPIREProvider.connect(options),
  '@kest/spiffe.BundleSource.connect 0': (options) => spiffe.BundleSource.connect(options),
  '@kest/spiffe.JWTSource.connect 0': (options) => spiffe.JWTSource.connect(options),
  '@kest/spiffe.X509Source.connect 0': (options) => spiffe.X509Source.connect(options),
  '@kest/spiffe.parseJwtSvid 1': (options) => spiffe.parseJwtSvid('', options),
  '@kest/spiffe.verifyJwtSvid 2': (options) => spiffe.verifyJwtSvid('', {} as never, options),
  '@kest/spiffe.parseX509Svid 2': (options) => spiffe.parseX509Svid([], new Uint8Array(), options),
  '@kest/spiffe.createX509KeySource 1': (options) => spiffe.createX509KeySource({}, options),
  '@kest/spiffe.verifyX509Chain 2': (options) => spiffe.verifyX509Chain([], {} as never, options),
  '@kest/spiffe.createBackoff 0': (options) => spiffe.createBackoff(options),
  'new @kest/spiffe.WorkloadApiClient 0': (options) => new spiffe.WorkloadApiClient(options),
  '@kest/spiffe.WorkloadApiClient#fetchJwtSvids 0': (options) => workloadApi().fetchJwtSvids(options),
  '@kest/spiffe.WorkloadApiClient#fetchJwtSvids 1': (options) =>
    workloadApi().fetchJwtSvids({ audience: 'a' }, options),
  '@kest/spiffe.WorkloadApiClient#validateJwtSvid 1': (options) =>
    workloadApi().validateJwtSvid({ token: '', audience: 'a' }, options),
  '@kest/spiffe/dev.createDevAuthority 0': (options) => createDevAuthority(options),
  '@kest/telemetry.checkOtlp 0': (options) => checkOtlp(options),
  '@kest/telemetry.setupTelemetry 0': (options) => setupTelemetry(options),
  '@kest/grpc.createKestInterceptor 0': (options) =>
    grpc.createKestInterceptor({ target: 'http://orders', propagateTo: [], ...(options as object) }),
  '@kest/grpc.kestGrpc 0': (options) =>
    grpc.kestGrpc({ kest, methods: {}, origin: 'internet', ...(options as object) }),
  '@kest/http.createKestAgent 1': (options) => http.createKestAgent(new Agent(), options),
  '@kest/http.patchHttp 0': (options) => http.patchHttp(options),
  '@kest/undici.kestInterceptor 0': (options) => undici.kestInterceptor(options),
  '@kest/undici.createKestFetch 0': (options) => undici.createKestFetch(options),
  '@kest/undici.patchGlobalFetch 0': (options) => undici.patchGlobalFetch(options),
  '@kest/undici.withKest 1': (options) => undici.withKest({ dispatch: () => true } as never, options),
}

/** What takes an object of which something may be left out, and does not refuse others: with the reason. */
const EXEMPT: Record<string, string> = {
  'new @kest/core.Kest 0': 'as createKest, which is how it is made',
  '@kest/core.parseEntry 1': 'for the audit: called for each entry, with an object that is made once',
  '@kest/audit.asFull 0': 'a trace as JSON, which the audit made',
  '@kest/audit.finding 2': 'details of a finding, which its maker types: called for each that is made',
  'new @kest/core.Delivery 0': 'made by receive alone',
  'new @kest/core.Delivery 2': 'made by receive alone',
  'new @kest/core.Exchange 1': 'made by an ingress alone',
  'new @kest/core.Exchange 3': 'made by an ingress alone',
  'new @kest/core.Operation 1': 'made by begin alone',
  '@kest/core.actingIn 0': 'a state, which Kest made',
  '@kest/core.Kest#run 0': 'a state, which Kest made',
  '@kest/core.createSender 0': 'a rule, whose names are checked by the client that takes it',
  '@kest/core.patchByRule 2': 'the same',
  '@kest/core.deploymentInForce 0': 'a deployment, which the reader of its file made',
  '@kest/core.Kest#end 0': 'a state, which Kest made',
  '@kest/core.Kest#keep 0': 'a state, which Kest made',
  '@kest/core.Kest#fork 0': 'a state, which Kest made',
  '@kest/core.requestFacts 0': 'a request of Node, or what stands for it',
  '@kest/core.bodyOf 0': 'the same',
  '@kest/core.RedirectsSeen#note 0': 'a state, which Kest made',
  '@kest/core.RedirectsSeen#take 0': 'the same',
  'new @kest/core.KestError 2': 'an error is made where something went wrong already',
  'new @kest/core.KestConfigError 1': 'an error is made where something went wrong already',
  'new @kest/core.PassportVerificationError 2': 'an error is made where something went wrong already',
  'new @kest/core.PolicyDeniedError 1': 'an error is made where something went wrong already',
  'new @kest/spiffe.SpiffeError 2': 'an error is made where something went wrong already',
  'new @kest/spiffe/verification.SpiffeError 2': 'an error is made where something went wrong already',
  '@kest/nestjs.KestModule.forRootAsync 0': 'Nest’s own; what its factory answers is taken as by forRoot',
  'new @kest/nestjs.KestModule 0': 'made by Nest alone',
  'new @kest/nestjs.KestModule 2': 'made by Nest alone, of what forRoot is given',
  '@kest/core.Exchange#fetch 1': 'options of fetch',
  '@kest/core.Outages#failed 0': 'what failed is told of where something went wrong already',
  '@kest/core.keySourcesOf 0':
    'a document of others: members that are not of its format are ignored (SPEC §9.1)',
  '@kest/spiffe.createMtlsServerFactory 2': 'options of Node’s own',
  '@kest/spiffe.JWTSource#fetch 0': 'hands them to WorkloadApiClient#fetchJwtSvids',
  '@kest/spiffe.JWTSource#fetch 1': 'hands them to WorkloadApiClient#fetchJwtSvids',
  'new @kest/telemetry.Telemetry 0': 'made by setupTelemetry alone',
  'new @kest/spiffe/verification.X509Bundle 2': 'the same as that of @kest/spiffe',
  '@kest/spiffe/verification.createX509KeySource 1': 'the same as that of @kest/spiffe',
  '@kest/spiffe/verification.verifyX509Chain 2': 'the same as that of @kest/spiffe',
}

describe('an option that is misspelled', () => {
  it('is looked for in all that is public and takes options', () => {
    expect(callablesWithOptions()).toEqual([...Object.keys(CALLS), ...Object.keys(EXEMPT)].sort())
  })

  it.each(Object.entries(CALLS))('is refused by name: %s', async (_, call) => {
    const failure = await failureOf(() => call({ misspelt: 1 } as never))
    expect(failure).toMatchObject({ code: expect.stringMatching(/^ERR_(?:KEST|SPIFFE)_CONFIG$/) })
    expect(failure).toMatchObject({ message: expect.stringContaining('"misspelt"') })
  })
})

async function failureOf(call: () => unknown): Promise<unknown> {
  try {
    await call()
  } catch (error) {
    return error
  }
  return undefined
}

function silent(): core.Logger {
  return { debug() {}, info() {}, warn() {}, error() {} }
}

function mcpPeer() {
  return { connect: async () => {}, request: async () => {} }
}

function peerless(): never {
  return { current: () => undefined, getX509Bundle: () => undefined } as never
}

function workloadApi(): spiffe.WorkloadApiClient {
  const client = new spiffe.WorkloadApiClient({ address: 'tcp://127.0.0.1:1' })
  onTestFinished(() => client.close())
  return client
}
