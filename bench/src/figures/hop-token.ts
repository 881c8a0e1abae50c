import { DEFAULT_LIMITS, verifyPassport } from '@kest/core'
import type { TimeFigure } from '../figure.js'
import { createHopToken, createSenderCheck } from '../internals.js'
import { createWorkload, type KeyKind, rawSign, rawVerify } from '../workload.js'

const ORIGIN = 'http://orders.svc.local:8000'

/** What a sender states about each request (K-HOP). */
function makeFigure(kind: KeyKind): TimeFigure {
  return {
    group: 'sign',
    name: `make a hop token, ${kind}`,
    unit: 'µs',
    floor: `one ${kind} signature`,
    target: 1.25,
    async prepare() {
      const workload = createWorkload(kind)
      const { entry } = await workload.chain(1)
      const signer = await workload.kest.identity?.current()
      if (signer === undefined) throw new Error('the workload of the benchmark has no identity')
      const make = () => createHopToken(signer, ORIGIN, [entry.hash], Date.now(), DEFAULT_LIMITS, 4096)
      return { floor: rawSign(workload, await make()), subject: make }
    },
  }
}

/** All that a receiver does about a token, beside remembering that it was used. */
function checkFigure(kind: KeyKind): TimeFigure {
  return {
    group: 'verify',
    name: `check a hop token, ${kind}`,
    unit: 'µs',
    floor: `one ${kind} verification`,
    target: 1.25,
    async prepare() {
      const { kest, trust, ...workload } = createWorkload(kind)
      const { entry, passport } = await workload.chain(1)
      const signer = await kest.identity?.current()
      if (signer === undefined) throw new Error('the workload of the benchmark has no identity')
      const verified = await verifyPassport(passport, { trust })
      const time = Date.now()
      const hop = await createHopToken(signer, ORIGIN, [entry.hash], time, DEFAULT_LIMITS, 4096)
      const check = createSenderCheck(
        {
          kind: 'hop',
          relays: [],
          audiences: new Set([ORIGIN]),
          clockSkewMs: 5000,
          replayStore: null,
          required: new Set(),
          maxBodyBytes: 0,
        },
        {
          trust: [trust],
          limits: DEFAULT_LIMITS,
          clock: { now: () => time },
          replay: { setIfAbsent: () => true },
          namespace: 'default',
          cacheTimeoutMs: 1000,
        },
      )
      return {
        floor: rawVerify({ kest, trust, ...workload }, [hop]),
        subject: () => check({ hop, peer: undefined }).isSent(verified),
      }
    },
  }
}

export const hopMake: TimeFigure = makeFigure('Ed25519')
export const hopMakeP256: TimeFigure = makeFigure('P-256')
export const hopCheck: TimeFigure = checkFigure('Ed25519')
export const hopCheckP256: TimeFigure = checkFigure('P-256')
