import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A span as a line of OTLP/JSON has it. */
export interface WrittenSpan {
  readonly service: string
  readonly name: string
  readonly traceId: string
  readonly attributes: Readonly<Record<string, string>>
}

type Attributes = readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[]

interface TracesData {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: Attributes }
    readonly scopeSpans: readonly {
      readonly spans: readonly {
        readonly name: string
        readonly traceId: string
        readonly attributes: Attributes
      }[]
    }[]
  }[]
}

/** @throws when it is no whole line */
export function spansOf(line: string): WrittenSpan[] {
  const { resourceSpans } = JSON.parse(line) as TracesData
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map(({ name, traceId, attributes }) => ({
        service: valuesOf(resource.attributes)['service.name'] as string,
        name,
        traceId,
        attributes: valuesOf(attributes),
      })),
    ),
  )
}

/** All whole lines of a folder's files, by name; what is torn is not among them. */
export function spansIn(folder: string): WrittenSpan[] {
  return linesIn(folder).flatMap(spansOf)
}

export function linesIn(folder: string): string[] {
  return filesIn(folder).flatMap((file) => readFileSync(join(folder, file), 'utf8').split('\n').slice(0, -1))
}

export function filesIn(folder: string): string[] {
  return readdirSync(folder).sort()
}

export function signaturesOf(spans: readonly WrittenSpan[]): string[] {
  return spans.flatMap(({ attributes }) => attributes['kest.signature'] ?? [])
}

function valuesOf(attributes: Attributes): Record<string, string> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, String(Object.values(value)[0])]))
}
