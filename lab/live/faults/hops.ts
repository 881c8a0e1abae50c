import { rm } from 'node:fs/promises'
import { httpAnswer } from '../support/fault-proxy.js'
import { limit, rewrite, signal } from '../support/scene.js'
import type { Fault } from './fault.js'

const MINUTE_MS = 60_000

const BORNE = {
  codes: [],
  log: null,
  remedy: 'nothing at once: a minute ahead is borne (`maxAheadMs`); look at time synchronization',
} as const

export const HOP_FAULTS: readonly Fault[] = [
  {
    name: 'a hop killed',
    codes: ['ERR_NEXT_UNREACHABLE'],
    log: ['hop1', 'ERR_NEXT_UNREACHABLE'],
    remedy: 'start it; look at the end of its log',
    async begin({ lab: { services } }) {
      await services.hop2.kill()
      return () => services.hop2.start()
    },
  },
  {
    name: 'a hop hung',
    codes: ['ERR_NEXT_TIMEOUT'],
    log: ['hop2', 'ERR_NEXT_TIMEOUT'],
    remedy: 'restart it; look at what it waits for',
    async begin({ lab: { services } }) {
      signal(services.hop3.pid, 'SIGSTOP')
      return () => signal(services.hop3.pid, 'SIGCONT')
    },
  },
  {
    name: 'a hop answers garbage',
    codes: ['ERR_NEXT_ANSWER'],
    log: ['hop2', 'ERR_NEXT_ANSWER'],
    remedy: 'look at what listens at `NEXT_URL`',
    async begin({ proxies: { hop3 } }) {
      hop3.become({ answer: httpAnswer('200 OK', 'application/json', '{"status":"fine"}') })
      return () => hop3.become('pass')
    },
  },
  {
    name: 'a hop answers what is no HTTP',
    codes: ['ERR_NEXT_ANSWER'],
    log: ['hop1', 'ERR_NEXT_ANSWER'],
    remedy: 'look at what listens at `NEXT_URL`',
    async begin({ proxies: { hop2 } }) {
      hop2.become({ answer: '220 mail.example.org ESMTP\r\n' })
      return () => hop2.become('pass')
    },
  },
  {
    name: '200 ms between hops, each way',
    codes: [],
    log: null,
    remedy: 'nothing; answers take that much longer',
    async begin({ proxies: { hop2, hop3 } }) {
      for (const proxy of [hop2, hop3]) proxy.become({ delayMs: 200 })
      return () => {
        for (const proxy of [hop2, hop3]) proxy.become('pass')
      }
    },
  },
  {
    name: 'connections between hops are reset',
    codes: ['ERR_NEXT_UNREACHABLE'],
    log: ['hop2', 'ERR_NEXT_UNREACHABLE'],
    remedy: 'look at the network, and at what stands between',
    async begin({ proxies: { hop3 } }) {
      hop3.become('reset')
      return () => hop3.become('pass')
    },
  },
]

export const PROCESS_FAULTS: readonly Fault[] = [
  { ...clockOff(MINUTE_MS / 2), ...BORNE },
  {
    ...clockOff(-MINUTE_MS / 2),
    ...BORNE,
    sometimes: ['ERR_KEST_IDENTITY', 'while its SVID is younger than that'],
  },
  {
    ...clockOff(10 * MINUTE_MS),
    codes: ['ERR_KEST_FRESHNESS'],
    log: ['hop3', 'ERR_KEST_FRESHNESS'],
  },
  {
    ...clockOff(-10 * MINUTE_MS),
    // Its own SVID is not valid yet, or else what comes in is from the future.
    codes: ['ERR_KEST_IDENTITY', 'ERR_KEST_FRESHNESS'],
    log: ['hop2', 'ERR_KEST_IDENTITY'],
  },
  {
    name: 'a hop has no descriptors left',
    codes: [
      'ERR_NEXT_TIMEOUT',
      'ERR_NEXT_UNREACHABLE',
      'ERR_KEST_ENGINE',
      'ERR_KEST_ENGINE_TIMEOUT',
      'ERR_KEST_AUDIT_UNAVAILABLE',
    ],
    log: ['hop1', 'ERR_NEXT_TIMEOUT'],
    remedy: 'raise the limit (`ulimit -n`, `LimitNOFILE`); look at what holds so many',
    async begin({ lab: { services }, proxies }) {
      const { pid } = services.hop2
      // Standard input, output and error: none of the others that closes comes back.
      const raise = await limit(pid, 'nofile', 3)
      for (const proxy of Object.values(proxies)) proxy.cut()
      return raise
    },
  },
  {
    name: 'the event loop of a hop blocked for 8 s',
    codes: ['ERR_NEXT_TIMEOUT'],
    log: ['hop1', 'ERR_NEXT_TIMEOUT'],
    remedy: 'take a profile (`node --cpu-prof`); look for work that is synchronous',
    async begin({ probe }) {
      await probe('hop2', { blockMs: 8_000 })
      return () => {}
    },
  },
  {
    name: 'SIGTERM under load, and a new start',
    codes: ['ERR_NEXT_UNREACHABLE'],
    log: null,
    remedy: 'nothing; take it out of the balancing first, and clients see nothing of it',
    async begin({ lab: { services } }) {
      await services.hop2.stop()
      return () => services.hop2.start()
    },
  },
]

export const DEPLOYMENT_FAULTS: readonly Fault[] = [
  {
    name: 'the deployment file broken',
    codes: [],
    log: ['hop1', 'the deployment file is broken'],
    remedy:
      'mend what the message names; until then the file from before is in force, but a restart would fail',
    async begin({ deployment }) {
      return await rewrite(deployment, (text) => text.replace('policies:', 'policies: ['))
    },
  },
  {
    name: 'the deployment file removed',
    codes: [],
    log: ['hop1', 'the deployment file is broken'],
    remedy: 'put it back; until then the file from before is in force, but a restart would fail',
    async begin({ deployment }) {
      const putBack = await rewrite(deployment, (text) => text)
      await rm(deployment)
      return putBack
    },
  },
  {
    name: 'the deployment file swapped for one with another policy',
    codes: ['ERR_KEST_DENIED'],
    log: ['hop1', 'ERR_KEST_DENIED'],
    remedy: 'look at who may write it; the services log what is in force now',
    async begin({ deployment }) {
      return await rewrite(deployment, (text) =>
        text.replace('enterprise/no_embargoed_item', 'enterprise/no_such_policy'),
      )
    },
  },
]

function clockOff(clockMs: number): Pick<Fault, 'name' | 'remedy' | 'begin'> {
  const amount = Math.abs(clockMs) < MINUTE_MS ? '30 s' : '10 min'
  return {
    name: `the clock of a hop ${amount} ${clockMs > 0 ? 'fast' : 'slow'}`,
    remedy: 'set the clock: look at time synchronization',
    async begin({ probe }) {
      await probe('hop2', { clockMs })
      return () => probe('hop2', { clockMs: 0 })
    },
  }
}
