import { open, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { RecordingLogger } from '@kest/core/testing'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { endedSpan } from '../../tests/support/ended-span.js'
import { temporaryFolder } from '../../tests/support/folder.js'
import { Receiver } from '../../tests/support/receiver.js'
import { linesIn } from '../../tests/support/spans.js'
import type { Destination } from './destination.js'
import { AppendFile } from './file/append-file.js'
import { FileDestination } from './file/file-destination.js'
import { OtlpDestination } from './otlp/otlp-destination.js'
import { otlpSettings } from './otlp/otlp-settings.js'
import { SqliteDestination } from './sqlite/sqlite-destination.js'

const spans = [endedSpan(() => {})]
const logger = new RecordingLogger()

/** The next call of a method waits until it is let go on. */
function hold<Name extends string>(
  prototype: Record<Name, (...args: never[]) => Promise<unknown>>,
  name: Name,
) {
  const proper = prototype[name]
  let goOn = (): void => {}
  const held = new Promise<void>((resolve) => {
    goOn = resolve
  })
  let begun = (): void => {}
  const under = new Promise<void>((resolve) => {
    begun = resolve
  })
  const spy = vi.spyOn(prototype as never, name as never) as unknown as ReturnType<typeof vi.fn>
  spy.mockImplementationOnce(async function (this: unknown, ...args: never[]) {
    begun()
    await held
    return proper.apply(this as never, args)
  })
  onTestFinished(() => void spy.mockRestore())
  return { goOn, under }
}

async function prototypeOfFiles() {
  const probe = await open('/dev/null')
  await probe.close()
  return Object.getPrototypeOf(probe)
}

function fileIn(folder: string): FileDestination {
  return new FileDestination({
    folder,
    service: 'orders',
    fsync: 'interval',
    rotateBytes: 2 ** 20,
    rotateMs: 2 ** 30,
    logger,
  })
}

describe('a destination that is closed while it writes', () => {
  async function closedBehind(destination: Destination, { goOn, under }: ReturnType<typeof hold>) {
    const order: string[] = []
    const written = destination.write(spans).then(() => order.push('written'))
    await under
    const closed = destination.close().then(() => order.push('closed'))
    // Who did not wait would be done by now.
    for (let n = 0; n < 10; n += 1) await stat('/')
    goOn()
    await Promise.all([written, closed])
    return order
  }

  it('has written to its file by then', async () => {
    const folder = temporaryFolder()
    // Its name is forced to the disk: it is open, and nothing is in it.
    const held = hold(await prototypeOfFiles(), 'sync')
    expect(await closedBehind(fileIn(folder), held)).toEqual(['written', 'closed'])
    expect(linesIn(folder)).toHaveLength(1)
  })

  it('has written to its database by then', async () => {
    const { prototype } = createRequire(import.meta.url)('libsql/promise')
    const file = join(temporaryFolder(), 'audit.db')
    const destination = new SqliteDestination({ file, fsync: 'interval', logger })
    expect(await closedBehind(destination, hold(prototype, 'exec'))).toEqual(['written', 'closed'])
  })

  it('has given up what it sent to a receiver, and sends it no second time', async () => {
    const receiver = await Receiver.listen()
    const settings = otlpSettings(
      { endpoint: receiver.origin, timeoutMs: 2 ** 31 - 1, headers: undefined, protocol: undefined },
      {},
    )
    const destination = new OtlpDestination(settings)
    await destination.write(spans)
    // The connection serves again: that it is cut off looks as if the receiver had closed it.
    receiver.answer = () => (receiver.received.length === 2 ? null : { status: 200 })
    const outcome = destination.write(spans).then(
      () => 'written',
      () => 'given up',
    )
    await expect.poll(() => receiver.received.length).toBe(2)
    await destination.close()
    expect(await Promise.race([outcome, 'under way'])).toBe('given up')
    await expect(destination.write(spans)).rejects.toThrow()
    expect(receiver.received).toHaveLength(2)
  })
})

it('what is written to a file while it is forced to the disk is forced there the next time', async () => {
  const files = await prototypeOfFiles()
  const datasync = vi.spyOn(files, 'datasync')
  onTestFinished(() => datasync.mockRestore())
  const file = await AppendFile.create(join(temporaryFolder(), 'x.jsonl'))
  await file.append(Buffer.from('one\n'), false)
  const { goOn, under } = hold(files, 'appendFile')
  const appended = file.append(Buffer.from('two\n'), false)
  await under
  await file.sync()
  goOn()
  await appended
  await file.sync()
  expect(datasync).toHaveBeenCalledTimes(2)
  await file.close()
})
