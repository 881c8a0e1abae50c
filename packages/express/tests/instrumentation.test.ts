import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { IncomingHttpHeaders } from 'node:http'
import { describe, expect, it, onTestFinished } from 'vitest'
import { callerHeaders } from './support/kest.js'
import { MAJORS } from './support/majors.js'
import { serve } from './support/server.js'

type Kind = 'kest' | 'bare' | 'listener' | 'listener-filtered'

const TRACE = '0af7651916cd43dd8448eb211c80319c'

/** Patches modules of the process that it is in, and so needs one of its own. */
async function instrumented(major: number, kind: Kind): Promise<string> {
  const script = new URL('otel/service.mjs', import.meta.url)
  const child = spawn(process.execPath, [script.pathname, String(major), kind], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill())
  const [chunk] = await once(child.stdout, 'data')
  return String(chunk).trim()
}

describe.each(MAJORS)('beside the instrumentation of http and undici, on Express $major', ({ major }) => {
  async function call(kind: Kind) {
    const received: Record<string, IncomingHttpHeaders> = {}
    const third = await serve((req, res) => {
      received[req.url ?? ''] = req.headers
      res.end()
    })
    const url = await instrumented(major, kind)
    const { baggage } = await callerHeaders(url, { user: 'alice' })
    const answer = await fetch(`${url}/call`, {
      method: 'POST',
      body: 'hello',
      headers: {
        baggage: `tenant=7,${baggage}`,
        traceparent: `00-${TRACE}-b7ad6b7169203331-01`,
        'x-target': third.url,
      },
    })
    return { answer, received }
  }

  it('K-AMBIENT, K-SCOPE a third party that the handler calls gets no kest.*, and the rest of baggage', async () => {
    const { answer, received } = await call('kest')
    expect(answer.status).toBe(200)
    expect(Object.keys(received)).toEqual(['/by-fetch', '/by-http'])
    for (const headers of Object.values(received)) {
      expect(JSON.stringify(headers)).not.toMatch(/kest/i)
      expect(headers.baggage).toBe('tenant=7')
      expect(headers.traceparent).toContain(TRACE)
    }
  })

  it('K-SPAN the audit span ended before the handler ran, and is in the trace of the request', async () => {
    const { answer } = await call('kest')
    expect(await answer.json()).toEqual({
      audit: { trace: TRACE, parent: expect.stringMatching(/^[0-9a-f]{16}$/) },
    })
  })

  it('gets the passport where Kest is not mounted, which is what is prevented', async () => {
    const { received } = await call('bare')
    expect(received['/by-fetch']?.baggage).toContain('kest.passport')
    expect(received['/by-http']?.baggage).toContain('kest.passport')
  })

  // The instrumentation of http binds listeners of the request to a context of before Kest.
  it('K-AMBIENT needs filterKestBaggage where a handler calls out of a listener of the request', async () => {
    const unfiltered = await call('listener')
    expect(JSON.stringify(unfiltered.received)).toMatch(/kest/)
    const { answer, received } = await call('listener-filtered')
    expect(answer.status).toBe(200)
    expect(JSON.stringify(received)).not.toMatch(/kest/i)
    expect(received['/by-fetch']?.baggage).toBe('tenant=7')
  })
})
