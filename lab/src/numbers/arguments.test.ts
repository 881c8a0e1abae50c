import { expect, it } from 'vitest'
import { CannotRun } from '../failure.js'
import { parseArguments } from './arguments.js'

it('measures for some minutes, and writes nothing, unless told otherwise', () => {
  expect(parseArguments([])).toMatchObject({ warmUp: 6_000, rounds: 4, seconds: 8, write: false })
  expect(parseArguments('--warm-up 10 --rounds 2 --write'.split(' '))).toMatchObject({
    warmUp: 10,
    rounds: 2,
    write: true,
  })
})

it('takes several Nodes, in their order', () => {
  expect(parseArguments('--node a/node --node b/node --json f'.split(' '))).toMatchObject({
    nodes: ['a/node', 'b/node'],
    json: 'f',
  })
})

it.each(['--rounds 0', '--seconds 1.5', '--everything'])('refuses %s', (words) => {
  expect(() => parseArguments(words.split(' '))).toThrow(CannotRun)
})
