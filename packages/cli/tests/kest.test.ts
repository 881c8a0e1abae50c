import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { kest } from './support/kest.js'

const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8')

describe('kest', () => {
  it.each([['--help'], ['-h'], ['help']])('lists its commands: %s', async (word) => {
    const { code, stdout, stderr } = await kest([word])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^Usage: kest COMMAND/)
    expect(stdout).toMatch(/^ {2}verify {4}/m)
    expect(stdout).toMatch(/^ {2}show {6}/m)
  })

  it.each([
    ['verify', '--help'],
    ['verify', '-h'],
    ['help', 'verify'],
    ...['show', 'audit', 'evidence', 'graph', 'dev'].flatMap((name) => [
      [name, '--help'],
      ['help', name],
    ]),
  ])('explains a command: %s %s', async (...args) => {
    const { code, stdout, stderr } = await kest(args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const name = args.find((word) => word !== 'help' && !word.startsWith('-'))
    expect(stdout.split('\n')[0]).toMatch(new RegExp(`^Usage: kest ${name} .*\\[options\\]`))
    expect(stdout).toMatch(new RegExp(`\nExamples:\n  kest ${name} `))
    expect(stdout).toMatch(/\nExit status: (?:0|that of the command)/)
    expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([])
  })

  it.each(['--version', '-V'])('says its version: %s', async (word) => {
    expect(await kest([word])).toEqual({ code: 0, stdout: `${JSON.parse(manifest).version}\n`, stderr: '' })
  })

  it.each([
    [[], 'which command?'],
    [['verfy'], 'unknown command verfy; did you mean verify?'],
    [['frobnicate'], 'unknown command frobnicate\n'],
    [['help', 'shwo'], 'unknown command shwo; did you mean show?'],
    [['--versoin'], 'unknown option --versoin; did you mean --version?'],
  ])('exits with 2 when it is used wrongly: %j', async (args, message) => {
    const { code, stdout, stderr } = await kest(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(`kest: ${message}`)
    expect(stderr).toContain('See kest --help.')
  })

  it.each(['verify', 'show', 'audit', 'evidence', 'graph', 'dev'])(
    'names the help of the command that is used wrongly: %s',
    async (name) => {
      for (const args of [[], ['--frobnicate', 'x']])
        expect(await kest([name, ...args])).toMatchObject({
          code: 2,
          stdout: '',
          stderr: expect.stringMatching(new RegExp(`\nSee kest ${name} --help\\.\n$`)),
        })
    },
  )
})
