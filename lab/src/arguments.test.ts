import { expect, it } from 'vitest'
import { parseArguments } from './arguments.js'
import { CannotRun } from './failure.js'
import { configurationFile } from './files.js'

it('asks for one request on what PATH has, unless told otherwise', () => {
  expect(parseArguments([])).toEqual({
    bin: null,
    identities: null,
    inProcessPolicy: false,
    policies: configurationFile('opa'),
    kafka: false,
    ttlSeconds: 3600,
    requests: 0,
    concurrency: 10,
    soakSeconds: 0,
    keep: false,
    json: false,
    help: false,
    out: null,
  })
})

it('reads every option', () => {
  const words =
    '--bin b --identities embedded --in-process-policy --policies p --rotate 30 --requests 5 --concurrency 2'
  const more = '--kafka --soak 300 --keep --json --out o'
  expect(parseArguments(`${words} ${more}`.split(' '))).toMatchObject({
    bin: 'b',
    identities: 'embedded',
    inProcessPolicy: true,
    policies: 'p',
    ttlSeconds: 30,
    requests: 5,
    concurrency: 2,
    kafka: true,
    soakSeconds: 300,
    keep: true,
    json: true,
    out: 'o',
  })
})

it.each([
  '--rotate 1',
  '--requests 0',
  '--requests many',
  '--identities none',
  '--out=',
  '--unknown',
  'word',
])('refuses %s, and names it', (words) => {
  const [option = ''] = words.split(/[ =]/)
  const parse = () => parseArguments(words.split(' '))
  expect(parse).toThrow(CannotRun)
  expect(parse).toThrow(option)
})
