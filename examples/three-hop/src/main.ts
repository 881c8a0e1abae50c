// Three services, two requests, two passports. This program is first the operator, who starts the services and sees to it
// that each has an identity; then a client; then the auditor, who has nothing but their spans and the trust bundle.
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import type { TrustDocument } from '@kest/core'
import { type Arguments, type Collector, parseArguments } from './arguments.js'
import type { VerifiedLineage } from './auditor/audit.js'
import { awaitAudit } from './auditor/await-audit.js'
import { fileEvidence } from './auditor/evidence.js'
import { auditTable } from './auditor/table.js'
import { withByteChanged, withoutEntry, withoutTail } from './auditor/tamper.js'
import { faultOf } from './auditor/verdict.js'
import { CHAIN, DEPLOYMENT_FILE, spansFolderOf } from './chain.js'
import { Failure } from './failure.js'
import { connectAgent } from './operator/agent.js'
import { Deployment } from './operator/deployment.js'
import { startAuthority } from './operator/embedded-authority.js'
import type { HopProcess } from './operator/hop-process.js'
import type { Identities } from './operator/identities.js'
import { localKeys } from './operator/local-keys.js'
import { Watch } from './operator/watch.js'

/** Where everything is written, unless somebody says otherwise: spans, logs, evidence. */
const OUT = fileURLToPath(new URL('../out', import.meta.url))
const DEADLINE_MS = 180_000
const RESULT = {
  service: 'hop1',
  next: { service: 'hop2', next: { service: 'hop3', status: 'end_of_chain' } },
}

const watch = new Watch(DEADLINE_MS)
process.stdout.on('error', ({ message }) => watch.giveUp(new Failure(`standard output: ${message}`)))
try {
  const begun = Date.now()
  const wanted = parseArguments(process.argv.slice(2), process.env)
  const out = resolve(wanted.folder ?? OUT)
  await mkdir(out, { recursive: true })
  // What an earlier run has proved says nothing of this one.
  for (const file of [evidenceFileOf(out), trustFileOf(out)]) await rm(file, { force: true })
  const trust = await operate(wanted, out)
  // From here on no service runs, and no authority.
  const lineage = await watch.wait(audit(out, spansOf(out, wanted.collector), trust, begun))
  await watch.wait(tamper(lineage, trust))
} catch (error) {
  // When it was given up, that is the reason, and not what came of it.
  const reason: unknown = watch.signal.aborted ? watch.signal.reason : error
  console.error(`\nthree-hop: ${reason instanceof Failure ? reason.message : inspect(reason)}`)
  process.exitCode = watch.exitCode
} finally {
  watch.end()
}

/** Runs the services for a few requests. When this is over so are they, and their spans are written. */
async function operate(wanted: Arguments, out: string): Promise<TrustDocument> {
  const identities = await identitiesFor(wanted, out)
  const deployment = new Deployment(out, identities, watch, wanted.collector)
  try {
    console.log(`Identities: ${identities.description}`)
    console.log(
      `Policies: ${wanted.opa === null ? 'Rego, in each service' : `Rego, by the OPA at ${wanted.opa}`}`,
    )
    await deployment.start(CHAIN.map((name) => ({ name, program: programOf(name) })))
    for (const { name, pid, origin } of deployment.hops) console.log(`${name}: process ${pid}, ${origin}`)
    const [edge, ...internal] = deployment.hops as [HopProcess, ...HopProcess[]]
    await request(edge)
    await requestConfidential(edge)
    for (const hop of internal) await requestWithoutLineage(hop)
    await deployment.stop()
    return deployment.trust
  } finally {
    await deployment.kill()
    await identities.close()
  }
}

async function identitiesFor(
  { localKeys: local, agent, users }: Arguments,
  out: string,
): Promise<Identities> {
  if (local) return localKeys
  return agent === null
    ? await startAuthority(CHAIN, out, watch)
    : await connectAgent(agent, CHAIN, users, watch)
}

function programOf(name: string): string {
  return fileURLToPath(new URL(`./${name}.js`, import.meta.url))
}

/** What a user does. */
async function request({ name, origin }: HopProcess): Promise<void> {
  const response = await fetch(origin, { signal: watch.signal })
  const result = JSON.stringify(await response.json(), null, 2)
  console.log(`\nA request to ${name} answers ${response.status}:\n\n${result}\n`)
  if (result !== JSON.stringify(RESULT, null, 2)) throw new Failure('the result is not what it should be')
}

/** What a user would like to do: hop1 and hop2 let him, and hop3 does not. */
async function requestConfidential({ name, origin }: HopProcess): Promise<void> {
  const response = await fetch(`${origin}/confidential`, { signal: watch.signal })
  const result = (await response.json()) as {
    readonly next?: { readonly next?: { readonly code?: unknown } }
  }
  console.log(
    `A request to ${name} for what is confidential answers ${response.status}: ${JSON.stringify(result)}`,
  )
  if (response.status !== 403 || result.next?.next?.code !== 'ERR_KEST_DENIED')
    throw new Failure('hop3 did not deny what is confidential')
}

/** What somebody tries who has found an internal service. */
async function requestWithoutLineage({ name, origin }: HopProcess): Promise<void> {
  const response = await fetch(origin, { signal: watch.signal })
  const { code } = (await response.json()) as { readonly code?: unknown }
  console.log(`A request to ${name}, which comes without lineage, answers ${response.status} ${code}`)
  if (response.status !== 403 || code !== 'ERR_KEST_LINEAGE_MISSING') {
    throw new Failure(`${name} did not refuse a request without lineage`)
  }
}

/**
 * Rebuilds the passports from the exported spans, verifies them by public trust material alone, and files that of the
 * chain as evidence.
 */
async function audit(
  out: string,
  spans: readonly string[],
  trust: TrustDocument,
  since: number,
): Promise<VerifiedLineage> {
  const { lineages, denials } = await awaitAudit(spans, trust, since, watch.signal)
  const chain = expectServices(lineages.get('GET /'), CHAIN)
  console.log(`\n${auditTable(chain.entries)}\n`)
  const fault = await faultOf(chain.passport, chain, trust)
  if (fault !== null) throw new Failure(`the lineage does not verify: ${fault.code}: ${fault.reason}`)

  const [evidenceFile, trustFile] = [evidenceFileOf(out), trustFileOf(out)]
  await writeFile(trustFile, `${JSON.stringify(trust, null, 2)}\n`)
  await fileEvidence(evidenceFile, chain, trust)
  console.log('SUCCESS: Distributed Merkle Lineage Verified.')
  console.log(`Check it yourself: npx kest verify ${here(evidenceFile)} --trust ${here(trustFile)}`)
  console.log(
    `Audit it yourself: npx kest audit ${spans.map(here).join(' ')} --trust ${here(trustFile)} --roots ${here(DEPLOYMENT_FILE)}\n`,
  )

  // The first two services have acted, which is on record; the third has refused to, which it signs as well.
  const denied = expectServices(lineages.get('GET /confidential'), CHAIN.slice(0, -1))
  console.log(`What was done of the request that hop3 denied:\n\n${auditTable(denied.entries)}\n`)
  const [denial, ...others] = denials
  if (denial?.service !== 'hop3' || denial.code !== 'ERR_KEST_DENIED' || others.length > 0)
    throw new Failure(`expected one denial, by hop3; there are ${denials.length}`)
  if (denial.proof !== 'signed') throw new Failure('the denial is not signed')
  console.log(
    `DENIED: ${denial.workloadId} has signed: ${denial.operation}: ${denial.code}; why, it says unsigned: ${denial.reason}\n`,
  )
  return chain
}

function expectServices(lineage: VerifiedLineage | undefined, expected: readonly string[]): VerifiedLineage {
  const services = lineage?.entries.map(({ service }) => service) ?? []
  if (lineage !== undefined && services.join() === expected.join()) return lineage
  throw new Failure(
    `expected one entry each of ${expected.join(', ')}, in this order; the spans have ${services.join(', ')}`,
  )
}

/** Whatever is done to the passport afterwards, the auditor notices, and says at which entry. */
async function tamper(lineage: VerifiedLineage, trust: TrustDocument): Promise<void> {
  const { passport } = lineage
  const attempts = [
    {
      what: "a byte of hop2's entry changed",
      passport: withByteChanged(passport, 1),
      at: 'hop2',
      code: 'ERR_KEST_SIGNATURE',
    },
    {
      what: "hop2's entry removed",
      passport: withoutEntry(passport, 1),
      at: 'hop3',
      code: 'ERR_KEST_PARENT_UNKNOWN',
    },
    {
      what: 'the tail cut off under its tip',
      passport: withoutTail(passport, 2),
      at: 'hop3',
      code: 'ERR_KEST_TIP',
    },
  ]
  console.log('Then somebody tampers with it:')
  for (const { what, passport, at, code } of attempts) {
    const fault = await faultOf(passport, lineage, trust)
    if (fault === null) throw new Failure(`${what}: nobody noticed`)
    const { service, entry } = fault.entry
    console.log(`FAILED: ${what}: ${service}'s entry ${entry.entry_id}: ${fault.code}, ${fault.reason}`)
    if (fault.code !== code || service !== at)
      throw new Failure(`${what}: expected ${code} at the entry of ${at}`)
  }
}

/** Where the auditor finds the spans. */
function spansOf(out: string, collector: Collector | null): readonly string[] {
  return collector === null ? CHAIN.map((name) => spansFolderOf(out, name)) : [resolve(collector.file)]
}

function evidenceFileOf(out: string): string {
  return join(out, 'evidence.json')
}

function trustFileOf(out: string): string {
  return join(out, 'trust.json')
}

/** As one would type it. */
function here(file: string): string {
  return relative('', file)
}
