import { readFile } from 'node:fs/promises'
import { Ajv, type ValidateFunction } from 'ajv'
import { describe, expect, it } from 'vitest'
import { DEFECTS, soundTrace } from '../../audit/dist/testing/plant.js'
import { PARTITIONS, TOPICS, WAIT_MS, World } from './support/world.js'

async function schema(name: string): Promise<ValidateFunction> {
  const text = await readFile(new URL(`../../../docs/schemas/${name}.schema.json`, import.meta.url), 'utf8')
  return new Ajv({ allErrors: true, allowUnionTypes: true }).compile(JSON.parse(text))
}

describe('the schemas of topics', () => {
  it('K-FLEET describe all that is written, and no member more', async () => {
    const world = new World({ settling: { maxOpen: 3 } })
    const spans = Object.values(DEFECTS).flatMap((defect, n) =>
      [soundTrace(world.workloads), defect(world.workloads, n)].flatMap((one) =>
        one.spans.map(({ span }) => span),
      ),
    )
    for (const span of spans) await world.send([span])
    await world.sendBytes('{')
    for (const ms of [0, 1_000, 10_000, WAIT_MS, 2_000, WAIT_MS, 2_000]) await world.pass(ms)
    const [verdict, finding] = [await schema('kest-verdict'), await schema('kest-finding')]
    const records = (topic: string, partitions: number): unknown[] =>
      Array.from({ length: partitions }, (_, n) => world.log.all(topic, n)).flatMap((all) =>
        all.map(({ value }) => JSON.parse(String(value))),
      )
    const [verdicts, findings] = [records(TOPICS.log, PARTITIONS), records(TOPICS.findings, 1)]
    expect(verdicts.length).toBeGreaterThan(50)
    expect(findings.length).toBeGreaterThan(8)
    const wrong = (check: ValidateFunction, all: readonly unknown[]): unknown[] =>
      all.flatMap((one) => (check(one) ? [] : [check.errors?.slice(0, 3)]))
    expect(wrong(verdict, verdicts)).toEqual([])
    expect(wrong(finding, findings)).toEqual([])
    for (const [check, one] of [
      [verdict, verdicts[0]],
      [finding, findings[0]],
    ] as const) {
      expect(check({ ...(one as object), more: 1 })).toBe(false)
      expect(check({})).toBe(false)
    }
  })
})
