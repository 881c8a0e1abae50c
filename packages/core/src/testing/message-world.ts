import { generateKeyPairSync } from 'node:crypto'
import { createKest, type Kest } from '../config/kest.js'
import type { KestOptions } from '../config/options.js'
import type { KestState } from '../context/state.js'
import { KestError, type KestErrorCode } from '../errors.js'
import type { OperationValues } from '../hook/operation-options.js'
import { createKeyIdentity, type KeyIdentity } from '../identity/key-identity.js'
import { createKeySource } from '../identity/keys.js'
import type { InboundMessage } from '../messages/message.js'
import type { Messages } from '../messages/messages.js'
import type { MessagesOptions } from '../messages/messages-options.js'
import { FakeClock } from './fake-clock.js'
import { MockPolicyEngine } from './mock-engine.js'
import { RecordingLogger } from './recording-logger.js'

export const ORDERS = 'kafka://main/orders'
export const PAYMENTS = 'kafka://main/payments'

/** A message that is under way. */
export interface SentMessage {
  readonly headers: Record<string, string>
  readonly body: string
}

/** A gateway that sends to topics, a service that reads them, and somebody in between. Keys are throw-away. */
export class MessageWorld {
  readonly clock = new FakeClock(Date.UTC(2030, 0, 1))
  readonly logger = new RecordingLogger()
  readonly engine = new MockPolicyEngine()
  readonly gatewayIdentity = identityOf('gateway')
  readonly ordersIdentity = identityOf('orders')
  readonly thiefIdentity = identityOf('thief')
  readonly gateway = this.kestOf(this.gatewayIdentity)
  readonly orders = this.kestOf(this.ordersIdentity)

  kestOf(identity: KeyIdentity, more: Partial<KestOptions> = {}): Kest {
    const known = [this.gatewayIdentity, this.ordersIdentity, this.thiefIdentity]
    return createKest({
      identity,
      engine: this.engine,
      trust: createKeySource(
        Object.fromEntries(known.map((one) => [one.getWorkloadId(), [one.getPublicJwk()]])),
      ),
      clock: this.clock,
      logger: this.logger,
      // Machines are busy: who does not answer in time is told by a test.
      policyTimeoutMs: 300_000,
      ...more,
    })
  }

  /** A request to the gateway that has begun. */
  async request(values: Omit<OperationValues, 'metadata'> = {}): Promise<KestState> {
    const { state } = await this.gateway.begin(
      { operation: 'GET /', policy: 'test', origin: 'user_input', user: 'alice', ...values },
      { state: null },
    )
    return state
  }

  /** What the gateway sends within a request. */
  async send(
    body = '{"order":1}',
    {
      to = ORDERS,
      state,
      options = {},
    }: { to?: string; state?: KestState; options?: Partial<MessagesOptions> } = {},
  ): Promise<SentMessage> {
    const messages = this.gateway.messages({ propagateTo: [to], ...options })
    const from = state ?? (await this.request())
    return { headers: await messages.send({ headers: {}, body, to, state: from }), body }
  }

  /** How the service reads. */
  reader(options: Partial<MessagesOptions> = {}, kest: Kest = this.orders): Messages {
    return kest.messages({ operation: { policy: 'test' }, ...options })
  }
}

/** As it is read. */
export function inbound(sent: SentMessage, more: Partial<InboundMessage> = {}): InboundMessage {
  return { ...sent, from: ORDERS, ...more }
}

/** The code that something is refused with. */
export async function refusal(answer: Promise<unknown>): Promise<KestErrorCode> {
  try {
    await answer
  } catch (error) {
    if (error instanceof KestError) return error.code
    throw error
  }
  throw new Error('expected a refusal')
}

function identityOf(name: string): KeyIdentity {
  return createKeyIdentity(`spiffe://kest.test/${name}`, generateKeyPairSync('ed25519').privateKey)
}
