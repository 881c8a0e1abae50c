import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { SPIFFE_ERROR_CODES, SpiffeError } from './errors.js'

it('every code has its cause and remedy in the manual', () => {
  const manual = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  expect(SPIFFE_ERROR_CODES.filter((code) => !manual.includes(`| \`${code}\` |`))).toEqual([])
})

it('an error is recognized across copies of the package, and keeps its cause', () => {
  const cause = new Error('beneath')
  const error = new SpiffeError('ERR_SPIFFE_CLOSED', 'closed', { cause })
  expect(error.cause).toBe(cause)
  const foreign = Object.assign(new Error('of another copy'), { [Symbol.for('kest.spiffe.error')]: true })
  expect([
    foreign instanceof SpiffeError,
    new Error('other') instanceof SpiffeError,
    (null as unknown) instanceof SpiffeError,
  ]).toEqual([true, false, false])
})
