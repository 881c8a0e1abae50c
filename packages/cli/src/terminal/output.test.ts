import { Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { Output } from './output.js'

function failing(code: string): { readonly stream: Writable; readonly attempts: () => number } {
  let attempts = 0
  const stream = new Writable({
    write(_chunk, _encoding, callback): void {
      attempts++
      callback(Object.assign(new Error(code), { code }))
    },
  })
  return { stream, attempts: () => attempts }
}

describe('Output', () => {
  it('takes a reader that has left for one that wants no more', async () => {
    const { stream, attempts } = failing('EPIPE')
    const output = new Output(stream, { colors: false })
    await output.write('a')
    await output.write('b')
    expect(output.failure).toBeNull()
    expect(attempts()).toBe(1)
  })

  it('knows why something was not written', async () => {
    const output = new Output(failing('ENOSPC').stream, { colors: false })
    await output.write('a')
    expect(output.failure).toMatchObject({ code: 'ENOSPC' })
  })
})
