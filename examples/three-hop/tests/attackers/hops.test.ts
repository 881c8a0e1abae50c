import type { FindingCode, TraceReport } from '@kest/audit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BINDINGS, type Binding, type HopAttack, OTHER_RAISERS } from './hop/attack.js'
import { HOP_ATTACKS } from './hop/index.js'
import { outcomeText } from './outcome.js'
import { type Audited, auditOf } from './support/audited.js'
import { assertFound } from './support/found.js'
import { House } from './support/house.js'
import { type Answer, Mallory } from './support/mallory.js'
import { createWorld, ROOTS, type World } from './support/world.js'

const ATTACKS = HOP_ATTACKS.flatMap(({ attacks }) => attacks)

let world: World

beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

/** With a list of roots; with a list of raisers as well; with neither. */
type Rules = 'usual' | 'raisers' | 'unlisted'

/** All attacks, one after the other, and then one audit of what the services recorded. */
class Campaign {
  readonly #answers = new Map<HopAttack, PromiseSettledResult<Answer>>()
  /** By whoever knows as much as a receiver did: who may begin lineage, and who may raise trust. */
  audited!: Readonly<Record<Rules, Audited>>

  async run(binding: Binding): Promise<void> {
    const house = await House.open(world, binding)
    for (const attack of ATTACKS) {
      if (attack[binding].kind === 'none') continue
      const played = Mallory.enter(house, attack).then(attack.play)
      this.#answers.set(attack, (await Promise.allSettled([played]))[0])
    }
    await house.close()
    const { records } = house
    this.audited = {
      usual: await auditOf(records, world.bundle),
      raisers: await auditOf(records, world.bundle, { roots: ROOTS, ...OTHER_RAISERS }),
      unlisted: await auditOf(records, world.bundle, {}),
    }
  }

  answer(attack: HopAttack): Answer {
    const result = this.#answers.get(attack)
    if (result === undefined) throw new Error('it was not played')
    if (result.status === 'rejected') throw result.reason
    return result.value
  }

  /** What an audit says of the trace, and of the hop where it speaks of no trace. */
  report(attack: HopAttack, { trace }: Answer): { report: TraceReport; found: FindingCode[] } {
    const { traces, general } = this.audited[rulesOf(attack)]
    const report = traces.get(trace)
    if (report === undefined) throw new Error('nothing was recorded of it')
    const ofHop2 = general.filter(({ message }) => message.includes('spiffe://example.org/hop2'))
    return { report, found: [...new Set([...report.findings, ...ofHop2].map(({ code }) => code))] }
  }
}

function rulesOf({ receiver, rootsListed = true }: HopAttack): Rules {
  if (!rootsListed) return 'unlisted'
  return receiver?.raisers === undefined ? 'usual' : 'raisers'
}

/** What is believed of a lineage that is as it should be. */
const HONEST = { trust: 40, taints: ['pii'], user: 'alice' }

describe.each(BINDINGS)('K-HOP K-DECLARED a hop with an identity of its own, binding %s', (binding) => {
  const campaign = new Campaign()
  const cells = ATTACKS.filter((attack) => attack[binding].kind !== 'none').map((attack) => ({
    attack,
    title: `${attack.attack}: ${outcomeText(attack[binding])}`,
  }))

  beforeAll(() => campaign.run(binding))

  it.each(cells)('$title', ({ attack }) => {
    const expected = attack[binding]
    const answer = campaign.answer(attack)
    if (expected.kind === 'refused') {
      expect(answer).toMatchObject({ code: expected.code, ran: false })
      return
    }
    expect(answer).toMatchObject({ code: null, ran: true, believed: { ...HONEST, ...attack.believed } })
    const { report, found } = campaign.report(attack, answer)
    const findings = expected.kind === 'visible' ? expected.findings : []
    expect(report.verdict).toBe(findings.includes('incomplete') ? 'incomplete' : 'verified')
    assertFound(found, expected)
  })

  it('K-AUDIT no number of an honest service is missing, whatever was tried', () => {
    expect(campaign.audited.usual.general).toEqual([])
  })
})
