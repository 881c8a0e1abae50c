export { respond, toError } from './adapter/answer.js'
export { bodyOf } from './adapter/body.js'
export type { Arrival, Exchange, OperationArrival, RequestKest } from './adapter/exchange.js'
export { guardReceiptHeader } from './adapter/guard-receipt-header.js'
export { type AdapterOptions, createIngress, type Ingress } from './adapter/ingress.js'
export { Pieces } from './adapter/pieces.js'
export { type PublishedKeys, publishedKeys } from './adapter/published-keys.js'
export { operationName, type RouteOperationOptions, RouteOperations } from './adapter/route-operations.js'
export { askRule, type RuleFaults } from './ask-rule.js'
export { assertOptions } from './assert-options.js'
export type { BindingOptions, MessageBindingOptions } from './binding/binding-options.js'
export type { BoundPart, HopOptions, SentRequest } from './binding/bound-request.js'
export type { MessageReplayStore } from './binding/message-once.js'
export { authorizePeer, type Peer, peerOf } from './binding/peer.js'
export { MemoryReplayStore, type ReplayStore } from './binding/replay-store.js'
export type { ReadBody } from './binding/request-check.js'
export { type Clock, systemClock } from './clock.js'
export {
  configure,
  getActiveCache,
  getActiveEngine,
  getActiveIdentity,
  getActiveKest,
  verified,
} from './config/active.js'
export { createKest, type Kest } from './config/kest.js'
export type { KestOptions } from './config/options.js'
export {
  getCurrentAgent,
  getCurrentJwt,
  getCurrentPassport,
  getCurrentTask,
  getCurrentUser,
} from './context/accessors.js'
export type { KeptState } from './context/derived-states.js'
export type { Frame } from './context/frame.js'
export type { Lifetime } from './context/lifetime.js'
export {
  type AboutRequest,
  type KnownToFramework,
  type RequestFacts,
  requestFacts,
} from './context/request-facts.js'
export {
  actingIn,
  currentState,
  type KestState,
  runWithoutState,
  type StatedIdentity,
} from './context/state.js'
export type { KestDenial } from './denial/denial.js'
export { type ParsedDenial, parseDenial } from './denial/parse.js'
export { type VerifiedDenial, verifyDenial } from './denial/verify.js'
export { contextOfNow, type InContext } from './egress/caller-context.js'
export { carriesPassport } from './egress/carries-passport.js'
export { type Installed, ownProperties, patchByRule, type Unpatch } from './egress/patches.js'
export {
  isRedirect,
  parseRedirects,
  type Redirects,
  RedirectsSeen,
  refuseRedirect,
} from './egress/redirects.js'
export { replaceMethod } from './egress/replace-method.js'
export { type BoundRule, createSender, type PropagationRule, type Sender } from './egress/sender.js'
export { boundMethods, standIn } from './egress/stand-in.js'
export { isWritten, markWritten } from './egress/written-baggage.js'
export { canonicalize } from './entry/canonicalize.js'
export {
  type DeviationRecord,
  type JsonObject,
  type JsonValue,
  type KestEntry,
  LABEL,
  type PolicyContextRecord,
  ROOT_PARENT,
  RUNTIME_NAME,
  SCHEMA_VERSION,
} from './entry/entry.js'
export { entryHash, sha256Hex } from './entry/hash.js'
export { type ParsedEntry, parseEntry } from './entry/parse.js'
export {
  KEST_ERROR_CODES,
  KestConfigError,
  KestError,
  type KestErrorCode,
  PassportVerificationError,
  type PolicyDeniedCode,
  type PolicyDeniedDetails,
  PolicyDeniedError,
} from './errors.js'
export type { BeginOptions } from './hook/begin.js'
export type { InputHashOptions } from './hook/input-hash.js'
export type { Operation } from './hook/operation.js'
export { OperationDefinition } from './hook/operation-definition.js'
export type { OperationOptions, OperationValues, Resolvable, Resource } from './hook/operation-options.js'
export { isOutcome, isOutcomeOf, type Outcome } from './hook/outcome-entry.js'
export { type PolicyFacts, policyContexts } from './hook/policy-context.js'
export type { VerifiedDecorator, VerifiedFunction } from './hook/verified.js'
export { type JwkSet, jwksOf } from './identity/jwks.js'
export { createKeyIdentity } from './identity/key-identity.js'
export type { KeyQuery, KeySource, VerificationKey } from './identity/key-source.js'
export { createKeySource } from './identity/keys.js'
export { LocalEd25519Provider } from './identity/local.js'
export type { IdentityProvider, Signer } from './identity/provider.js'
export { createRemoteKeySource } from './identity/remote-key-source.js'
export type { ArrivedRequest, ArrivedResponse } from './ingress/arrived.js'
export { cutOff } from './ingress/departure.js'
export type { InboundHeaders, InboundRequest, KeptPassport, Listener } from './ingress/listener.js'
export type {
  ListenerOptions,
  ListenerRules,
  MessageListenerOptions,
  TrustDomainOptions,
} from './ingress/listener-options.js'
export { type Problem, toProblem } from './ingress/problem.js'
export { toStateGraceMs } from './ingress/request-term.js'
export { takeLineageOut } from './ingress/take-lineage-out.js'
export { closeAnsweredUpgrade } from './ingress/upgrade.js'
export { varyByBaggage } from './ingress/vary.js'
export type { JwsAlgorithm, JwsHeader, SigningAlgorithm } from './jws/algorithm.js'
export { keyAlgorithms } from './jws/key-algorithms.js'
export { createKeySigner, type KeySigner } from './jws/key-signer.js'
export { DEFAULT_LIMITS, type Limits, resolveLimits } from './limits.js'
export { isPromise, type MaybePromise } from './maybe-promise.js'
export type { Delivery } from './messages/delivery.js'
export { type Disposition, dispositionOf } from './messages/disposition.js'
export type {
  BrokerDelivery,
  InboundMessage,
  MessageBody,
  MessageEvidence,
  MessageRecord,
  OutboundMessage,
} from './messages/message.js'
export type { MessageScope } from './messages/message-scope.js'
export type { BatchReading, Messages } from './messages/messages.js'
export type { BatchOperation, MessageOperation, MessagesOptions } from './messages/messages-options.js'
export type { BatchPart, ReceivedBatch, RefusedMessage } from './messages/received-batch.js'
export { keyAudience } from './oidc/key-audience.js'
export { OIDCIdentity, type OIDCIdentityOptions } from './oidc/oidc-identity.js'
export {
  createOIDCKeySource,
  type OIDCIssuerOptions,
  type OIDCKeyOptions,
  type OIDCPrincipals,
} from './oidc/oidc-key-source.js'
export type { OIDCToken, TokenFile, TokenRequest } from './oidc/token-source.js'
export { onAbort } from './on-abort.js'
export {
  createEvidence,
  type Evidence,
  keySourcesOf,
  parseEvidence,
  parseTrustDocument,
  type TrustDocument,
  type VerifiedEvidence,
  type VerifyEvidenceOptions,
  verifyEvidence,
  type X509Factory,
} from './passport/evidence.js'
export type { LineageSummary } from './passport/lineage.js'
export { Passport, parsePassport } from './passport/passport.js'
export { SignatureCache } from './passport/signature-cache.js'
export type { Finding, IdentityContext, PlainValues, VerifiedEntry } from './passport/verified.js'
export { VerifiedPassport } from './passport/verified-passport.js'
export { PassportVerifier } from './passport/verifier.js'
export { verifyPassport } from './passport/verify.js'
export {
  EntriesVerifier,
  type EntryVerdict,
  type VerifyEntriesOptions,
  verifyEntries,
} from './passport/verify-entries.js'
export type { VerifyOptions } from './passport/verify-options.js'
export { type PolicyCombinationsOptions, policyCombinations } from './policy/combinations.js'
export { contextDigest, contextJson } from './policy/context-text.js'
export {
  type CachedPolicyEngine,
  cacheDecisions,
  type DecisionCacheOptions,
  type DecisionCacheStats,
} from './policy/decision-cache.js'
export { IGNORABLE_FIELDS, type IgnorableField, withhold } from './policy/decision-key.js'
export {
  DEPLOYMENT_TIERS,
  type Deployment,
  type DeploymentTier,
  type Deviation,
  parseRootsFile,
  type RootsPolicy,
} from './policy/deployment.js'
export { readDeploymentFile } from './policy/deployment-file.js'
export type { Decision, PolicyContext, PolicyEngine, PolicyRequest, PolicyTier } from './policy/engine.js'
export {
  createFunctionEngine,
  type FunctionEngineOptions,
  type PolicyFunction,
} from './policy/function-engine.js'
export { deploymentInForce, type InForce, type InForceOptions } from './policy/in-force.js'
export type { LineageObservation, Observation, PolicyObservation } from './policy/observation.js'
export type { Policies } from './policy/policies.js'
export type { ReplayedDecision, ReplayText } from './policy/replay.js'
export { type PolicyRevision, parseRevision, parseRevisionsLabel } from './policy/revision.js'
export type { ObservedPolicy, TierPolicies } from './policy/tiers.js'
export { createPrivateSlot, type PrivateSlot } from './private-slot.js'
export { BaggageManager } from './propagation/baggage-manager.js'
export type { CacheProvider } from './propagation/cache.js'
export type { CarrierHeaders, HeadersLike, HeaderValue, InjectableHeaders } from './propagation/headers.js'
export type { InjectOptions } from './propagation/inject-options.js'
export { MemoryCache } from './propagation/memory-cache.js'
export { createOutbound, type Departing, type Outbound } from './propagation/outbound.js'
export { filterKestBaggage, withoutKestBaggage } from './propagation/propagator.js'
export type { PropagateTo } from './propagation/scope.js'
export { type KeyOwner, MemoryPseudonymKeys } from './pseudonyms/memory-pseudonym-keys.js'
export type { Names } from './pseudonyms/names.js'
export { pseudonymOf } from './pseudonyms/pseudonym.js'
export { PseudonymKeyFile } from './pseudonyms/pseudonym-key-file.js'
export type { PseudonymKey, PseudonymKeys, PseudonymSubject } from './pseudonyms/pseudonym-keys.js'
export type { SubjectOptions } from './pseudonyms/subject-options.js'
export type { AwaitedReceipt } from './receipts/awaited-receipt.js'
export { RECEIPT_HEADER, type TakenReceipts, takeReceipts } from './receipts/receipt-header.js'
export type { ReceiptOptions } from './receipts/receipt-options.js'
export type { RequestedReceipt } from './receipts/requested-receipt.js'
export {
  openRegularFile,
  type ReadRegularFileOptions,
  readRegularFile,
  readRegularFileSync,
} from './regular-file.js'
export { ATTRIBUTE, RECEIPT_SPAN, SCOPE, SPAN_PREFIX } from './telemetry/attributes.js'
export { type AuditSlot, type AuditTrail, bindAuditTrail } from './telemetry/audit-trail.js'
export { type Logger, stderrLogger } from './telemetry/logger.js'
export { OnceAWhile } from './telemetry/once-a-while.js'
export { type Failure, Outages } from './telemetry/outages.js'
export type { DpopOptions } from './tokens/dpop-options.js'
export type { IntrospectionOptions } from './tokens/introspection-options.js'
export { createTokenVerifier, type TokenVerifier, type VerifiedToken } from './tokens/token.js'
export type { TokenOptions } from './tokens/token-options.js'
export type { TrustEvaluator } from './trust/evaluator.js'
export type { IdentityAuthority, IdentityPart } from './trust/identity-authorities.js'
export { DEFAULT_ORIGINS } from './trust/origins.js'
export { OBSERVED_TAINT } from './trust/reserved.js'
export {
  createRootList,
  type RootGrant,
  type RootList,
  type RootRule,
  toRootList,
} from './trust/root-list.js'
export { VERSION } from './version.js'
