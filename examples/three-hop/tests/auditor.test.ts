import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createKest, type Kest, type KestState, type Passport, type TrustDocument } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine, RecordingLogger } from '@kest/core/testing'
import { setupTelemetry, type Telemetry } from '@kest/telemetry'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { auditSpans, type VerifiedLineage } from '../src/auditor/audit.js'
import { auditTable } from '../src/auditor/table.js'
import { withByteChanged, withoutEntry, withoutTail } from '../src/auditor/tamper.js'
import { faultOf } from '../src/auditor/verdict.js'
import { CHAIN, type KeyList, principalOf, spansFolderOf } from '../src/chain.js'

const identities = CHAIN.map((service) => new MockIdentityProvider(principalOf(service)))
const keys: KeyList = Object.fromEntries(identities.map((id) => [id.getWorkloadId(), [id.getPublicJwk()]]))
const trust: TrustDocument = { keys }

const ROOT = { operation: 'GET /', policy: 'p', origin: 'user_input' } as const
const NEXT = { operation: 'GET /', policy: 'p' } as const

let out: string
let trails: Telemetry[]
let services: readonly [Kest, Kest, Kest]

/** Services that export their spans as those of the demonstration do. */
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'kest-auditor-'))
  trails = CHAIN.map((service) => {
    const folder = spansFolderOf(out, service)
    mkdirSync(folder)
    return setupTelemetry({ serviceName: service, exporter: 'file', endpoint: folder })
  })
  services = CHAIN.map((_, index) =>
    createKest({
      identity: identities[index]!,
      engine: new MockPolicyEngine(),
      telemetry: trails[index]!,
      logger: new RecordingLogger(),
    }),
  ) as [Kest, Kest, Kest]
})

afterEach(async () => {
  await Promise.all(trails.map((trail) => trail.shutdown()))
  rmSync(out, { recursive: true })
})

/** hop1 → hop2 → hop3 */
async function chain(): Promise<void> {
  let state: KestState | undefined
  for (const kest of services) {
    ;({ state } = await (state === undefined ? kest.begin(ROOT) : kest.begin(NEXT, { state })))
  }
  await flush()
}

/** hop1, then hop2 and hop3 side by side, then hop1 again. */
async function diamond(): Promise<void> {
  const [hop1, hop2, hop3] = services
  const { state } = await hop1.begin(ROOT)
  const branches = await Promise.all([hop2.begin(NEXT, { state }), hop3.begin(NEXT, { state })])
  for (const branch of branches) branch.settle()
  await hop1.begin(NEXT, { state })
  await flush()
}

async function flush(): Promise<void> {
  await Promise.all(trails.map((trail) => trail.forceFlush()))
}

function audit() {
  return auditSpans(
    CHAIN.map((service) => spansFolderOf(out, service)),
    trust,
    0,
  )
}

async function lineageOf(operation: string): Promise<VerifiedLineage> {
  return (await audit()).lineages.get(operation)!
}

/** Changes what a service has exported. */
function edit(service: string, change: (text: string) => string): void {
  const folder = spansFolderOf(out, service)
  for (const name of readdirSync(folder)) {
    const before = readFileSync(join(folder, name), 'utf8')
    const after = change(before)
    expect(after).not.toBe(before)
    writeFileSync(join(folder, name), after)
  }
}

describe('auditing what services have exported', () => {
  it('has the entries of a request in the order of their links', async () => {
    await chain()
    const { entries, passport, tips } = await lineageOf('GET /')
    expect(entries.map(({ service }) => service)).toEqual([...CHAIN])
    expect(passport.entries).toEqual(entries.map(({ jws }) => jws))
    expect(tips).toEqual([entries.at(-1)?.hash])
  })

  it('believes the signed entry: a span that says something else is a fault', async () => {
    await chain()
    edit('hop2', (text) =>
      text.replace('"intValue":"40"', '"intValue":"90"').replace('"intValue":40', '"intValue":90'),
    )
    await expect(audit()).rejects.toThrow(/^a lineage is verified: .*trust_score/)
  })

  it('misses what was not exported', async () => {
    await chain()
    edit('hop2', () => '')
    await expect(audit()).rejects.toThrow(/^a lineage is /)
  })

  it('takes denials for no evidence, and lists them', async () => {
    const [hop1, hop2] = services
    const { state } = await hop1.begin(ROOT)
    const engine = new MockPolicyEngine({ p: false })
    await expect(hop2.begin({ ...NEXT, engine }, { state })).rejects.toThrow()
    await flush()
    const { lineages, denials } = await audit()
    expect(lineages.get('GET /')?.entries.map(({ service }) => service)).toEqual(['hop1'])
    expect(denials).toEqual([expect.objectContaining({ service: 'hop2', code: 'ERR_KEST_DENIED' })])
  })
})

describe('judging what somebody has made of a passport', () => {
  let lineage: VerifiedLineage
  let passport: Passport

  beforeEach(async () => {
    await chain()
    lineage = await lineageOf('GET /')
    passport = lineage.passport
  })

  it('finds no fault in the lineage itself', async () => {
    expect(await faultOf(passport, lineage, trust)).toBeNull()
  })

  it('TC-02 finds the entry in which a byte was changed', async () => {
    for (const [index, service] of CHAIN.entries()) {
      const changed = withByteChanged(passport, index)
      expect(differingBytes(changed.entries[index]!, passport.entries[index]!)).toBe(1)
      expect(await faultOf(changed, lineage, trust)).toMatchObject({
        code: 'ERR_KEST_SIGNATURE',
        entry: { service },
      })
    }
  })

  it('F-PA-06 finds the child of an entry that was removed', async () => {
    expect(await faultOf(withoutEntry(passport, 0), lineage, trust)).toMatchObject({
      code: 'ERR_KEST_PARENT_UNKNOWN',
      entry: { service: 'hop2' },
    })
    expect(await faultOf(withoutEntry(passport, 1), lineage, trust)).toMatchObject({
      code: 'ERR_KEST_PARENT_UNKNOWN',
      entry: { service: 'hop3' },
    })
  })

  it('K-TIP misses the tip of a tail that was cut off, down to nothing', async () => {
    for (const index of [2, 1, 0]) {
      expect(await faultOf(withoutTail(passport, index), lineage, trust)).toMatchObject({
        code: 'ERR_KEST_TIP',
        entry: { service: 'hop3' },
      })
    }
  })

  it('K-BIND accepts no other service’s key', async () => {
    const [first, , third] = CHAIN.map(principalOf) as [string, string, string]
    const swapped = { ...keys, [first]: keys[third]!, [third]: keys[first]! }
    expect(await faultOf(passport, lineage, { keys: swapped })).toMatchObject({
      code: 'ERR_KEST_SIGNATURE',
      entry: { service: 'hop1' },
    })
  })

  function differingBytes(a: string, b: string): number {
    const [left, right] = [a, b].map((jws) => Buffer.from(jws.split('.')[1]!, 'base64url')) as [
      Buffer,
      Buffer,
    ]
    expect(left).toHaveLength(right.length)
    return left.filter((byte, i) => byte !== right[i]).length
  }
})

describe('the audit table', () => {
  it('has one line for each entry, with its parents', async () => {
    await diamond()
    const { entries } = await lineageOf('GET /')
    const table = auditTable(entries).split('\n')
    expect(table).toHaveLength(2 + 4)
    const [root, a, b] = entries.map(({ hash }) => `${hash.slice(0, 8)}…${hash.slice(-4)}`)
    const parents = table.slice(2).map((line) => line.split(' | ')[2]!.trim())
    expect(parents.slice(0, 3)).toEqual(['0', root, root])
    expect(new Set(parents[3]!.split(' '))).toEqual(new Set([a, b]))
  })
})
