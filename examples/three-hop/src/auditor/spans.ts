import { readFile } from 'node:fs/promises'
import { CHAIN, isService, type Service, spansFileOf } from '../chain.js'
import { Failure } from '../failure.js'

/** A span as a service has exported it: what an auditor starts from, and believes nothing of. */
export interface ExportedSpan {
  readonly service: Service
  readonly scope: string
  readonly attributes: Readonly<Record<string, unknown>>
}

/**
 * All spans that the services have exported into a folder.
 * @throws {Failure} for what is not a span
 */
export async function readSpans(folder: string): Promise<ExportedSpan[]> {
  const files = await Promise.all(CHAIN.map((service) => readLines(spansFileOf(folder, service))))
  return files.flat().map(parseSpan)
}

interface Line {
  readonly text: string
  readonly where: string
}

async function readLines(file: string): Promise<Line[]> {
  const lines = (await readFile(file, 'utf8')).split('\n')
  return lines.map((text, i) => ({ text, where: `${file}:${i + 1}` })).filter(({ text }) => text !== '')
}

function parseSpan({ text, where }: Line): ExportedSpan {
  const { service, scope, attributes } = (parseJson(text) ?? {}) as Partial<ExportedSpan>
  if (!isService(service)) throw new Failure(`${where}: not a span of a service that the operator knows`)
  if (typeof scope !== 'string' || typeof attributes !== 'object' || attributes === null) {
    throw new Failure(`${where}: not a span`)
  }
  return { service, scope, attributes }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
