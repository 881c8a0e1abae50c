import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import type { Member } from '../src/log/log.js'
import { Stage, type StageOptions } from '../src/stage/stage.js'
import { MemoryLog } from '../src/testing/memory-log.js'

type Assign = (partitions: readonly number[], anew: boolean) => void

/** A stage of three records in each of two partitions, whose partitions are given by the test. */
async function startStage(
  options: Pick<StageOptions, 'open'> & Partial<StageOptions>,
): Promise<{ stage: Stage; assign: Assign }> {
  const log = new MemoryLog({ topic: 2 })
  for (const partition of [0, 0, 0, 1, 1, 1])
    await log.append([{ topic: 'topic', partition, key: 'any', value: Buffer.from('any') }])
  let assign: Assign = () => {}
  const join: Member['join'] = async (assigned) => {
    assign = assigned
  }
  const member = { ...log.member('group', 'topic'), join }
  const stage = new Stage({ log, member, topic: 'topic', lost: async () => {}, failed: () => {}, ...options })
  await stage.start()
  return { stage, assign }
}

describe('a stage', () => {
  it('shows what waits while a partition is opened, however long that takes, and does not wait for it when it is closed', async () => {
    const { stage, assign } = await startStage({
      open: async (_partition, _from, signal) => {
        await once(signal, 'abort')
        throw signal.reason
      },
    })
    assign([1], true)
    await expect.poll(() => [...stage.progress]).toEqual([[1, { lag: 3, open: null }]])
    await stage.close()
    expect([...stage.progress]).toEqual([])
  })

  it('has one worker of a partition at a time, and tells of one that is another’s', async () => {
    const said: string[] = []
    let end = (): void => {}
    const ended = new Promise<void>((resolve) => {
      end = resolve
    })
    const { stage, assign } = await startStage({
      open: async (partition) => {
        said.push(`open ${partition}`)
        const close = async (): Promise<void> => void said.push(`close ${partition}`)
        return { position: 0, take: () => ended, close }
      },
      left: (partition) => void said.push(`left ${partition}`),
    })
    assign([0], true)
    await expect.poll(() => said).toEqual(['open 0'])
    assign([0, 1], true)
    await expect.poll(() => said).toEqual(['open 0', 'open 1'])
    end()
    await expect.poll(() => said).toEqual(['open 0', 'open 1', 'close 0', 'open 0'])
    assign([1], false)
    expect(said.at(-1)).toBe('left 0')
    await stage.close()
  })
})
