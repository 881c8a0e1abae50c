import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { policyPlans } from '@kest/opa/plans'
import { describe, expect, it } from 'vitest'
import { folder, kest } from './support/kest.js'

const CONFIG = 'policies:\n  enterprise: [enterprise/embargo]\n  platform: [platform/trust]\n'
const ARGUMENTS = ['--config', 'kest.yaml', '--policies', 'orders/read', '--policies', 'pay/own,pay/limit']
const PLANS = policyPlans([
  [['enterprise/embargo'], ['platform/trust'], ['orders/read']],
  [['enterprise/embargo'], ['platform/trust'], ['pay/own', 'pay/limit']],
])

describe('kest policies plan', () => {
  it('writes a plan for each operation behind the tiers of the deployment', async () => {
    const cwd = await folder({ 'kest.yaml': CONFIG })
    expect(await kest(['policies', 'plan', ...ARGUMENTS], { cwd })).toEqual({
      code: 0,
      stdout: PLANS,
      stderr: '',
    })
    const written = await kest(['policies', 'plan', ...ARGUMENTS, '-o', 'kest_plans.rego'], { cwd })
    expect(written).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(await readFile(join(cwd, 'kest_plans.rego'), 'utf8')).toBe(PLANS)
  })

  it('takes what a service says that it asks together', async () => {
    const combination = [['enterprise/embargo'], ['orders/read']]
    const cwd = await folder({
      'plans.json': JSON.stringify([{ combination, state: 'absent' }]),
      'bare.json': JSON.stringify([combination]),
    })
    for (const file of ['plans.json', 'bare.json']) {
      const { code, stdout } = await kest(['policies', 'plan', '--combinations', file], { cwd })
      expect([code, stdout]).toEqual([0, policyPlans([combination])])
    }
  })

  it('--check fails for plans that are stale or missing, and writes nothing', async () => {
    const cwd = await folder({ 'kest.yaml': CONFIG })
    const check = () => kest(['policies', 'plan', ...ARGUMENTS, '-o', 'kest_plans.rego', '--check'], { cwd })
    const missing = await check()
    expect([missing.code, missing.stdout]).toEqual([1, ''])
    expect(missing.stderr).toMatch(/kest_plans\.rego: it is not there/)
    await writeFile(join(cwd, 'kest_plans.rego'), PLANS)
    expect(await check()).toEqual({ code: 0, stdout: '', stderr: '' })
    await writeFile(join(cwd, 'kest.yaml'), `${CONFIG}  application: [app/new]\n`)
    const stale = await check()
    expect([stale.code, stale.stdout]).toEqual([1, ''])
    expect(stale.stderr).toMatch(/kest_plans\.rego: it is stale/)
    expect(await readFile(join(cwd, 'kest_plans.rego'), 'utf8')).toBe(PLANS)
  })

  it.each<[string, readonly string[], RegExp]>([
    ['no word', [], /what of policies/],
    ['another word', ['write'], /what of policies/],
    ['no policies', ['plan'], /of which policies/],
    ['an empty list', ['plan', '--policies', ','], /expected names of policies/],
    [
      'an empty list beside one',
      ['plan', '--policies', 'a/b', '--policies', ','],
      /expected names of policies/,
    ],
    [
      'a path that no plan can be made of',
      ['plan', '--policies', 'a/b,c/0'],
      /no plan can be made of the path "c\/0"/,
    ],
    ['a check of no file', ['plan', '--policies', 'a/b,c/d', '--check'], /of which file/],
    ['a deployment that is not there', ['plan', '--policies', 'a/b', '--config', 'no.yaml'], /no\.yaml: /],
    ['a deployment that does not hold', ['plan', '--policies', 'a/b', '--config', 'bad.yaml'], /bad\.yaml/],
    ['combinations that are no JSON', ['plan', '--combinations', 'bad.yaml'], /bad\.yaml: it is no JSON/],
    ['combinations that are no list', ['plan', '--combinations', 'one.json'], /one\.json: expected a list/],
    ['combinations of something else', ['plan', '--combinations', 'odd.json'], /policyPlans: expected/],
    [
      'its own input as output',
      ['plan', '--combinations', 'odd.json', '-o', 'odd.json'],
      /would be replaced/,
    ],
  ])('refuses %s', async (_, argv, message) => {
    const cwd = await folder({ 'bad.yaml': 'policies: 1', 'one.json': '{}', 'odd.json': '[7]' })
    const { code, stdout, stderr } = await kest(['policies', ...argv], { cwd })
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(message)
  })
})
