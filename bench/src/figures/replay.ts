import { Audit, PolicyReplay, readEntries, type TraceReport } from '@kest/audit'
import { policyLibrary, RegoReplay, RegoWasmEngine } from '@kest/opa'
import type { TimeFigure } from '../figure.js'
import { createWorkload, rawVerify } from '../workload.js'

const POLICY = 'kest/minimum_trust'
const DATA = { kest: { parameters: { minimum_trust: { score: 1 } } } }
const ENTRIES = 5

/** What an audit takes to rebuild the questions of a passport and ask them again (K-REPLAY), beside verifying its signatures. */
export const replayRego: TimeFigure = {
  group: 'verify',
  name: `${ENTRIES} decisions by Rego, decided again`,
  unit: 'µs',
  floor: `${ENTRIES} Ed25519 verifications`,
  target: 1,
  async prepare() {
    const paths = { 'orders/read': POLICY }
    const engine = await RegoWasmEngine.load(policyLibrary(), { data: DATA, reloadMs: 0, paths })
    const workload = createWorkload('Ed25519', { engine })
    const { passport } = await workload.chain(ENTRIES)
    const entries = [...passport.entries]
    const replay = new PolicyReplay({
      texts: [await RegoReplay.load(policyLibrary(), { data: DATA, paths })],
    })
    await using audit = new Audit({ trust: workload.trust })
    await audit.read(readEntries(entries, 'memory'))
    let report: TraceReport | undefined
    for await (const one of audit.traces()) report = one
    const { entries: audited } = report as TraceReport
    const subject = (): void => {
      for (const { message } of replay.findings(audited)) throw new Error(message)
    }
    return { floor: rawVerify(workload, entries), subject }
  },
}
