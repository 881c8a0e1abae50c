import type { Figure } from '../figure.js'
import { baggageParse, baggageReadCompressed, baggageReadJson } from './baggage.js'
import { labelsAfter5, labelsAtRoot } from './decision-labels.js'
import { cachedDecisions, regoDecisions } from './decisions.js'
import { exportFile, exportHanging, exportLatency } from './export.js'
import { fastifyHop, fastifyHopCold } from './fastify-hop.js'
import { hookAfter5, hookAfter100, hookAtRoot, hookP256, hookRecording } from './hook.js'
import { hopCheck, hopCheckP256, hopMake, hopMakeP256 } from './hop-token.js'
import { ingressCold, ingressWarm } from './ingress.js'
import { joseSign } from './jose-sign.js'
import { joseVerify } from './jose-verify.js'
import { memory } from './memory.js'
import { observing } from './observing.js'
import { outboundCompressed, outboundJson } from './outbound.js'
import { httpAgent, httpPatched } from './outbound-clients.js'
import { fastifyGet, grpcCall } from './over-sockets.js'
import { cachedAfter5, cachedAtRoot, cedarInProcess, regoInProcess } from './policy.js'
import { receipts } from './receipts.js'
import { REFUSALS } from './refusals.js'
import { replayRego } from './replay.js'
import { sign, signP256 } from './sign.js'
import { svidFirstSight, svidSign, svidVerify } from './svid.js'
import { tier2Pack, tier2Unpack } from './tier2.js'
import { tokenES256, tokenKnownES256, tokenKnownRS256, tokenRS256 } from './token.js'
import { verified } from './verified.js'
import { verify1, verify5, verify20Auto, verify100, verify100P256, verify100Pool } from './verify.js'

/** All figures, in the order of the table. */
export const FIGURES: readonly Figure[] = [
  sign,
  joseSign,
  signP256,
  svidSign,
  hopMake,
  hopMakeP256,
  regoInProcess,
  cedarInProcess,
  cachedAtRoot,
  cachedAfter5,
  hookAtRoot,
  hookRecording,
  labelsAtRoot,
  labelsAfter5,
  exportLatency,
  exportFile,
  exportHanging,
  hookAfter5,
  hookAfter100,
  verified,
  hookP256,
  observing,
  verify5,
  replayRego,
  verify100,
  verify100Pool,
  verify1,
  joseVerify,
  verify20Auto,
  verify100P256,
  svidVerify,
  svidFirstSight,
  hopCheck,
  hopCheckP256,
  outboundJson,
  outboundCompressed,
  httpAgent,
  httpPatched,
  baggageParse,
  baggageReadJson,
  baggageReadCompressed,
  tier2Pack,
  tier2Unpack,
  ingressCold,
  ingressWarm,
  tokenES256,
  tokenRS256,
  tokenKnownES256,
  tokenKnownRS256,
  fastifyHopCold,
  fastifyHop,
  receipts,
  grpcCall,
  fastifyGet,
  ...REFUSALS,
  memory,
  regoDecisions,
  cachedDecisions,
]
