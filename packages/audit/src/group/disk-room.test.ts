import { tmpdir } from 'node:os'
import { expect, it } from 'vitest'
import { DiskRoom } from './disk-room.js'

it('K-LIMIT leaves half of what was free on the disk', async () => {
  const free = [1_000, 900, 500, 499]
  const room = new DiskRoom('somewhere', async () => free.shift() as number)
  for (let n = 0; n < 3; n++) await room.assertLeft()
  await expect(room.assertLeft()).rejects.toMatchObject({
    code: 'ERR_KEST_LIMIT',
    message: expect.stringContaining('somewhere'),
  })
})

it('asks the system, and says what it answers where there is no such folder', async () => {
  await new DiskRoom(tmpdir()).assertLeft()
  await expect(new DiskRoom('/there/is/none').assertLeft()).rejects.toMatchObject({
    code: 'ERR_KEST_EVIDENCE',
  })
})
