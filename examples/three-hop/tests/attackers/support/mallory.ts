import { inflateSync } from 'node:zlib'
import { entryHash, type Signer } from '@kest/core'
import { type Agent, request } from 'undici'
import { baggageOf, compressed, hopToken, type Members, payloadOf } from './forge.js'
import type { Believed, House, Receiving, Served } from './house.js'

/** What hop2 has of a request. */
export interface Loot {
  readonly passport: readonly string[]
  /** The only entry: hop1's root. */
  readonly root: string
  /** The token that hop1 signed for it. */
  readonly token: string
}

/** How an attack ended. */
export interface Answer {
  readonly code: string | null
  /** Whether the operation ran. */
  readonly ran: boolean
  readonly believed: Believed | null
  readonly trace: string | null
}

export interface Sending {
  /** Hashes that are announced, and for which a token is signed; default: those of the passport's tips. */
  readonly tips?: readonly string[]
  /** Members in place of the usual ones; `undefined` leaves one out. */
  readonly members?: Members
  /** The whole header. */
  readonly baggage?: string
  readonly token?: string
  readonly by?: Agent
  readonly signer?: Signer
  /** Whether hop2 exports its entries; default `true`. */
  readonly exported?: boolean
}

/** hop2, with a genuine identity and no scruples. */
export class Mallory {
  readonly house: House
  readonly origin: string
  readonly #agent: Agent

  static async enter(house: House, to: Receiving): Promise<Mallory> {
    return new Mallory(house, await house.receiver(to))
  }

  private constructor(house: House, origin: string) {
    this.house = house
    this.origin = origin
    this.#agent = house.agent('hop2')
  }

  get signer(): Signer {
    return this.house.world.identities.hop2.current()
  }

  /** Is called in the name of a user, by hop1. */
  async isCalled(user = 'alice'): Promise<Loot> {
    const { status } = await this.house.request(user)
    if (status !== 200) throw new Error(`hop1 answers ${status}`)
    const members = new Map(
      this.house.received
        .split(',')
        .map((member) => member.split('=').map(decodeURIComponent) as [string, string]),
    )
    const packed = members.get('kest.passport_z')
    const json =
      packed === undefined
        ? (members.get('kest.passport') as string)
        : inflateSync(Buffer.from(packed, 'base64url')).toString()
    const passport = JSON.parse(json) as string[]
    return { passport, root: passport[0] as string, token: members.get('kest.hop') as string }
  }

  /** The members that carry a passport as it should be carried. */
  members(passport: readonly string[], { tips = tipsOf(passport), ...how }: Sending = {}): Members {
    const { signer = this.signer, token } = how
    const bound = this.house.binding === 'hop' && tips.length > 0
    return {
      'kest.passport_z': compressed(JSON.stringify(passport)),
      'kest.chain_tip': tips.length > 0 ? tips.join(',') : undefined,
      'kest.hop': token ?? (bound ? hopToken(signer, this.origin, tips) : undefined),
      ...how.members,
    }
  }

  /** Calls hop3. */
  async sends(passport: readonly string[], sending: Sending = {}): Promise<Answer> {
    const {
      baggage = baggageOf(this.members(passport, sending)),
      by = this.#agent,
      exported = true,
    } = sending
    const headers: Record<string, string> = baggage === '' ? {} : { baggage }
    const { served, turnedAway } = this.house
    let answer: Awaited<ReturnType<typeof request>>
    try {
      answer = await request(`${this.origin}/orders`, { dispatcher: by, headers })
    } catch (error) {
      if (this.house.turnedAway === turnedAway) throw error
      return { code: 'TLS', ran: this.house.served > served, believed: null, trace: null }
    }
    const text = await answer.body.text()
    const body = text === '' ? {} : (JSON.parse(text) as { readonly code?: string })
    const ran = this.house.served > served
    if (ran && exported) for (const jws of passport.filter(isNotHop1s)) this.house.exports(jws)
    return answerOf(answer.statusCode, body, ran)
  }
}

export function answerOf(status: number, body: object, ran: boolean): Answer {
  if (status !== 200) {
    const { code = `HTTP ${status}` } = body as { readonly code?: string }
    return { code, ran, believed: null, trace: null }
  }
  const { trace, ...believed } = body as Served
  return { code: null, ran, believed, trace }
}

function isNotHop1s(jws: string): boolean {
  return payloadOf(jws).labels['principal'] !== 'spiffe://example.org/hop1'
}

/** Entries that no other names as a parent. */
function tipsOf(passport: readonly string[]): string[] {
  const parents = new Set(passport.flatMap((jws) => payloadOf(jws).parent_ids))
  return [...new Set(passport.map(entryHash))].filter((hash) => !parents.has(hash))
}
