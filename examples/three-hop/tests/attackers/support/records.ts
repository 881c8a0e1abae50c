import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ATTRIBUTE, createFunctionEngine, createKest, type Kest, type Operation } from '@kest/core'
import { RecordingLogger } from '@kest/core/testing'
import { createX509KeySource, SPIREProvider } from '@kest/spiffe'
import { setupTelemetry } from '@kest/telemetry'
import { vi } from 'vitest'
import type { World } from './world.js'

export const CHAIN = ['hop1', 'hop2', 'hop3'] as const

export type Hop = (typeof CHAIN)[number]

/** A span as it is in the file, which whoever may write there can change. */
export interface Span {
  name: string
  traceId: string
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes: { key: string; value: { stringValue?: string; intValue?: string } }[]
}

/** What three services recorded of three requests: of each service, the spans in that order. */
export type Records = Record<Hop, Span[]>

/** Requests cross three services with Kest, which export as they do; this is what then lies in their files. */
export async function recordsOf(world: World): Promise<Records> {
  const open: (() => Promise<void>)[] = []
  const kests = CHAIN.map((hop) => serviceOf(world, hop, open))
  for (const user of ['alice', 'bob', 'carol']) await cross(kests, user)
  for (const close of open) await close()
  const entries = CHAIN.map(async (hop) => [hop, await spansIn(folderOf(world, hop))] as const)
  return Object.fromEntries(await Promise.all(entries)) as Records
}

function folderOf({ folder }: World, hop: Hop): string {
  return join(folder, 'records', hop)
}

function serviceOf(world: World, hop: Hop, open: (() => Promise<void>)[]): Kest {
  const logger = new RecordingLogger()
  const identity = SPIREProvider.of(world.identities[hop].source)
  const endpoint = folderOf(world, hop)
  const telemetry = setupTelemetry({
    serviceName: hop,
    exporter: 'file',
    endpoint,
    confirm: true,
    waitTimeoutMs: 60_000,
    logger,
  })
  vi.stubEnv('KEST_CONFIG', world.deployment)
  const engine = createFunctionEngine({ allow: () => true })
  const trust = createX509KeySource(identity.source)
  const kest = createKest({ identity, engine, trust, telemetry, logger })
  vi.unstubAllEnvs()
  open.push(async () => {
    await kest.close()
    await telemetry.shutdown()
  })
  return kest
}

/** Each service takes what the one before it sends. */
async function cross(kests: readonly Kest[], user: string): Promise<void> {
  let headers: Record<string, string> | undefined
  for (const [n, kest] of kests.entries()) {
    const operation: Operation =
      headers === undefined
        ? await kest.begin({ operation: `step ${n}`, policy: 'allow', origin: 'user_input', user })
        : await kest.begin(
            { operation: `step ${n}`, policy: 'allow' },
            { state: await kest.extract(headers) },
          )
    headers = await kest.run(operation.enter(), () => kest.inject({}, 'http://next.test'))
  }
}

async function spansIn(folder: string): Promise<Span[]> {
  const files = (await readdir(folder)).sort()
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')))
  return texts
    .flatMap((text) => text.trimEnd().split('\n'))
    .flatMap((line) => JSON.parse(line).resourceSpans)
    .flatMap(({ scopeSpans }) => scopeSpans)
    .flatMap(({ spans }) => spans as Span[])
}

/** As the Collector's file exporter writes them: a line for each batch. */
export function linesOf(records: Records, serviceNames: Partial<Record<Hop, string>> = {}): string[] {
  return CHAIN.flatMap((hop) =>
    records[hop].map((span) => {
      const name = { key: 'service.name', value: { stringValue: serviceNames[hop] ?? hop } }
      const scopeSpans = [{ scope: { name: 'kest.core' }, spans: [span] }]
      return JSON.stringify({ resourceSpans: [{ resource: { attributes: [name] }, scopeSpans }] })
    }),
  )
}

export function attributeOf(span: Span, key: string): string {
  const value = span.attributes.find((attribute) => attribute.key === key)?.value
  if (value === undefined) throw new Error(`the span has no ${key}`)
  return value.stringValue ?? (value.intValue as string)
}

/** Gives an attribute another value; `undefined` takes it away. */
export function change(span: Span, key: string, value: string | undefined): void {
  const at = span.attributes.findIndex((attribute) => attribute.key === key)
  if (at < 0) throw new Error(`the span has no ${key}`)
  const was = span.attributes[at]?.value ?? {}
  if (value === undefined) span.attributes.splice(at, 1)
  else span.attributes[at] = { key, value: 'intValue' in was ? { intValue: value } : { stringValue: value } }
}

export function entryIn(span: Span): string {
  return attributeOf(span, ATTRIBUTE.signature)
}
