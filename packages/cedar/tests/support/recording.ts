import { readFileSync } from 'node:fs'

/** Made by the live suite: `npx vitest run -c vitest.live.config.ts --project cedar -u`. */
export const RECORDING_FILE = new URL('../fixtures/cedar-agent.json', import.meta.url)

/** A question to a Cedar Agent, and what it answered. */
export interface Exchange {
  readonly asked: unknown
  readonly status: number
  readonly answer: unknown
}

/** What a real agent answered to the table's questions. */
export interface Recording {
  /** The agent, with its version. */
  readonly of: string
  /** By the names of the table; one for each policy that was asked. */
  readonly cases: Readonly<Record<string, readonly Exchange[]>>
  readonly malformed: Exchange
  readonly unauthorized: Exchange
}

export function readRecording(): Recording {
  return JSON.parse(readFileSync(RECORDING_FILE, 'utf8'))
}

/** JSON, with a line for each case. */
export function formatRecording({ cases, ...rest }: Recording): string {
  const lines = (record: object): string =>
    Object.entries(record)
      .map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`)
      .join(',\n')
  return `{\n${lines(rest)},\n"cases": {\n${lines(cases)}\n}\n}\n`
}
