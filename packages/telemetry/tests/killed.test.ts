import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as passing } from 'node:timers/promises'
import Database from 'libsql'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from './support/folder.js'
import { filesIn, spansOf } from './support/spans.js'
import { bundledService, WRITING_SERVICE, WritingService } from './support/writing-service.js'

const KILLS = 100

describe('a service that is killed while it writes', () => {
  it('has lost no record of an operation that might run, 100 times out of 100', async () => {
    const folder = temporaryFolder()
    const program = await bundledService(folder)
    const endpoint = join(folder, 'audit')
    mkdirSync(endpoint)
    const acknowledged: string[] = []
    let left = KILLS
    async function killOneAfterTheOther(): Promise<void> {
      while (left-- > 0) {
        const service = new WritingService(program, {
          exporter: 'file',
          endpoint,
          fsync: 'always',
          waitTimeoutMs: 60_000,
        })
        await service.writes(1)
        await passing(Math.random() * 40)
        acknowledged.push(...(await service.kill()))
      }
    }
    // While one starts another writes: all of them write the same folder.
    await Promise.all([killOneAfterTheOther(), killOneAfterTheOther(), killOneAfterTheOther()])

    const files = filesIn(endpoint)
    expect(files).toHaveLength(KILLS)
    const written = new Set<string>()
    for (const file of files) {
      const lines = readFileSync(join(endpoint, file), 'utf8').split('\n')
      // What is after the last line's end is torn, or nothing. Every other line is whole.
      for (const line of lines.slice(0, -1))
        written.add(spansOf(line)[0]?.attributes['kest.chain_tip'] as string)
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(KILLS)
    expect(acknowledged.filter((hash) => !written.has(hash))).toEqual([])
  })

  it('leaves a SQLite file behind that others go on writing, with every such record in it', async () => {
    const endpoint = join(temporaryFolder(), 'audit.db')
    const options = { exporter: 'sqlite', endpoint, fsync: 'always', waitTimeoutMs: 60_000 } as const
    const acknowledged: string[] = []
    for (let round = 0; round < 4; round += 1) {
      const services = [1, 2].map(() => new WritingService(WRITING_SERVICE, options))
      await Promise.all(services.map((service) => service.writes(2)))
      await passing(Math.random() * 40)
      acknowledged.push(...(await Promise.all(services.map((service) => service.kill()))).flat())
    }
    const database = new Database(endpoint)
    const written = new Set(database.prepare('SELECT entry_hash FROM spans').pluck().all() as string[])
    expect(database.pragma('integrity_check')).toEqual([{ integrity_check: 'ok' }])
    database.close()
    expect(acknowledged.length).toBeGreaterThanOrEqual(2 * 8)
    expect(acknowledged.filter((hash) => !written.has(hash))).toEqual([])
  })
})
