import { execSync } from 'node:child_process'
import { RecordingLogger } from '@kest/core/testing'
import { X509Source } from '@kest/spiffe'
import { expect, it } from 'vitest'
import { temporaryFolder } from './support/resources.js'
import { startSpire } from './support/spire.js'

it('keepalive', async () => {
  const logger = new RecordingLogger()
  const { address } = await startSpire(await temporaryFolder(), [{ id: 'spiffe://example.org/a', uid: 0, ttl: 3600 }])
  const source = await X509Source.connect({ address, logger })
  const often = await X509Source.connect({ address, logger: new RecordingLogger(), keepaliveMs: 2000 })
  const at = () => Math.round(performance.now() / 1000)
  console.log(at(), 'connected')
  await new Promise((r) => setTimeout(r, 60_000))
  console.log(at(), 'often', often.status())
  await new Promise((r) => setTimeout(r, 280_000))
  console.log(at(), 'after a ping', source.status(), 'often', often.status())
  const path = address.replace('unix://', '')
  const pid = execSync(`ps ax -o pid,args | grep '[s]pire-agent run' | grep '${path.split('/').slice(0, -1).join('/')}' | awk '{print $1}'`).toString().trim()
  console.log('pid', JSON.stringify(pid))
  process.kill(Number(pid.split('\n')[0]), 'SIGSTOP')
  const stopped = at()
  while (source.status().staleSince === null && at() - stopped < 400) await new Promise((r) => setTimeout(r, 500))
  console.log(at() - stopped, 'stale', source.status(), often.status())
  process.kill(Number(pid.split('\n')[0]), 'SIGCONT')
  const cont = at()
  while (source.status().staleSince !== null && at() - cont < 100) await new Promise((r) => setTimeout(r, 200))
  console.log(at() - cont, 'back', source.status())
  source.close(); often.close()
  expect(1).toBe(1)
}, 900_000)
