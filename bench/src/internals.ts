export { kafkaProperties } from '../../lab/dist/servers/kafka-properties.js'
/** Parts of core and of the audit that they do not export: what is measured by itself here, callers only have as a part of more. */
export type { AuditSaid } from '../../packages/audit/dist/testing/audit-child.js'
export {
  LONGEST_LINE,
  type WrittenExport,
  writeExport,
} from '../../packages/audit/dist/testing/write-export.js'
export { SHAPES, writeLarge } from '../../packages/audit/dist/testing/write-large.js'
export { createHopToken } from '../../packages/core/dist/binding/hop-token.js'
export { createSenderCheck } from '../../packages/core/dist/binding/sender-check.js'
export { createRuntime } from '../../packages/core/dist/config/runtime.js'
export { Frame } from '../../packages/core/dist/context/frame.js'
export { begin } from '../../packages/core/dist/hook/begin.js'
export { signEntry } from '../../packages/core/dist/jws/compact.js'
export { toDer } from '../../packages/core/dist/jws/ecdsa-der.js'
export { Lineage } from '../../packages/core/dist/passport/lineage.js'
export { parseBaggage } from '../../packages/core/dist/propagation/baggage.js'
export { BaggageManager } from '../../packages/core/dist/propagation/baggage-manager.js'
export { resolveClaim, storeClaim } from '../../packages/core/dist/propagation/claim-check.js'
export { createTopics } from '../../packages/fleet/dist/log/create-topics.js'
export { KafkaLog } from '../../packages/fleet/dist/log/kafka-log.js'
export * as certificates from '../../packages/spiffe/dist/dev-authority/certificate.js'
