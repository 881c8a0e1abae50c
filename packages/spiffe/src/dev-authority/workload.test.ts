import { expect, it, onTestFinished } from 'vitest'
import { makeAuthority } from '../../tests/support/material.js'
import { SpiffeId } from '../id/spiffe-id.js'
import { Workload } from './workload.js'

it('is rotated once at a time, so that the authority that signs last is the one that signed for it', async () => {
  const authority = await makeAuthority()
  const heldThen: number[] = []
  const resolved = {
    name: 'hop1',
    ids: [{ id: SpiffeId.parse('spiffe://example.org/hop1'), hint: '' }],
    ttlMs: 3_600_000,
  }
  const workload = new Workload(resolved, 'ec-p256', () => {
    heldThen.push(workload.svids.length)
    return authority
  })
  onTestFinished(() => workload.close())
  await Promise.all([workload.rotate(), workload.rotate()])
  expect(heldThen).toEqual([0, 1])
})
