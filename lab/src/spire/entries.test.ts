import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { configurationFile } from '../files.js'
import { registrationsOf } from './entries.js'

const text = readFileSync(configurationFile('spire/entries.json'), 'utf8')

it('registers each service by its user, under the agent', () => {
  const hop2 = registrationsOf(text, undefined)[1]
  expect(hop2?.id).toBe('spiffe://example.org/hop2')
  expect(hop2?.args.join(' ')).toBe(
    '-entryID kest-hop2 -parentID spiffe://example.org/agent -spiffeID spiffe://example.org/hop2 -selector unix:uid:60002',
  )
})

it('sets the life of their SVIDs where it is asked for', () => {
  for (const { args } of registrationsOf(text, 30)) expect(args.slice(-2)).toEqual(['-x509SVIDTTL', '30'])
})
