import { RESULT } from './chain.js'
import { type Answer, ask, codeOf } from './client/requests.js'
import { Failure } from './failure.js'
import type { Lab } from './lab.js'
import type { Report } from './report.js'

/** The item of the one request whose proof is shown. */
export const SHOWN_ITEM = 'shown'

/** What a user does: a request that is answered; others that are not. */
export async function demonstrate(lab: Lab, report: Report): Promise<void> {
  const { urls, watch } = lab
  const { status, body } = await ask(urls.hop1, SHOWN_ITEM, watch)
  const result = JSON.stringify(body, null, 2)
  report.say(`\nA request to hop1 answers ${status}:\n\n${result}\n`)
  report.fact('result', body)
  if (result !== JSON.stringify(RESULT, null, 2)) throw new Failure('the result is not what it should be')

  const refused: Record<string, Refused>[] = []
  async function refuse(what: string, answer: Answer, expected: Refused): Promise<void> {
    const got = { status: answer.status, code: codeOf(answer.body) }
    report.say(`${what} answers ${got.status} ${got.code}`)
    refused.push({ [what]: got })
    if (got.status !== expected.status || got.code !== expected.code)
      throw new Failure(`${what}: expected ${expected.status} ${expected.code}`)
  }
  const denied = { status: 403, code: 'ERR_KEST_DENIED' }
  await refuse('A request for an embargoed item', await ask(urls.hop1, 'embargoed', watch), denied)
  // hop3 denies it; those before it pass that on.
  const passedOn = { status: 502, code: 'ERR_KEST_DENIED' }
  await refuse(
    'A request for an item that hop3 keeps sealed',
    await ask(urls.hop1, 'sealed', watch),
    passedOn,
  )
  const missing = { status: 403, code: 'ERR_KEST_LINEAGE_MISSING' }
  for (const hop of ['hop2', 'hop3'] as const)
    await refuse(
      `A request to ${hop}, which comes without lineage,`,
      await ask(urls[hop], null, watch),
      missing,
    )
  report.fact('refused', Object.assign({}, ...refused))
}

interface Refused {
  readonly status: number
  readonly code: string | null
}
