import { expect, it } from 'vitest'
import { PATIENCE_MS, temporaryFolder } from './support/lab.js'
import { runMain } from './support/run-main.js'

it(
  'loads the chain while SVIDs rotate, watches its memory, and proves every request',
  async () => {
    const out = await temporaryFolder()
    const words = '--identities embedded --rotate 10 --requests 60 --concurrency 4 --soak 12 --json'
    const { code, stdout, stderr } = await runMain(['--out', out, ...words.split(' ')]).ended
    const report = JSON.parse(stdout)
    expect(report, stderr).toMatchObject({
      ok: true,
      load: { requests: 60, failed: 0 },
      soak: { capacity: { failed: 0 }, result: { failed: 0 } },
    })
    expect(code).toBe(0)
    expect(report.soak.memory.map(({ name }: { name: string }) => name)).toEqual(['hop1', 'hop2', 'hop3'])
    for (const { heap, rss } of report.soak.memory) {
      for (const megabytes of [...heap, ...rss]) expect(megabytes).toBeGreaterThan(1)
    }
    const answered = 1 + 60 + report.soak.capacity.requests + report.soak.result.requests
    expect(report.audit.complete).toBe(answered)
  },
  PATIENCE_MS,
)
