/** Parts of core that it does not export: what is measured by itself here, callers only have as a part of more. */
export { createHopToken } from '../../packages/core/dist/binding/hop-token.js'
export { createSenderCheck } from '../../packages/core/dist/binding/sender-check.js'
export { Frame } from '../../packages/core/dist/context/frame.js'
export { signEntry } from '../../packages/core/dist/jws/compact.js'
export { Lineage } from '../../packages/core/dist/passport/lineage.js'
export { parseBaggage } from '../../packages/core/dist/propagation/baggage.js'
export { BaggageManager } from '../../packages/core/dist/propagation/baggage-manager.js'
