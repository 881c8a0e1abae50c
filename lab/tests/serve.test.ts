import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, it } from 'vitest'

const SERVICE = fileURLToPath(new URL('./fixtures/service.mjs', import.meta.url))

let service: ChildProcess
let url: string

beforeEach(async () => {
  service = fork(SERVICE, { execArgv: [], silent: true })
  const [port] = await once(service, 'message')
  url = `http://127.0.0.1:${port}`
})

afterEach(() => service.kill('SIGKILL'))

it('finishes what is under way when it is asked to end, and closes the connection with it', async () => {
  const agent = new Agent({ keepAlive: true })
  const request = get(`${url}/slow`, { agent })
  await once(service, 'message')
  service.kill('SIGTERM')
  service.send('go on')
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  expect(response.statusCode).toBe(200)
  response.resume()
  expect(await once(service, 'exit')).toEqual([0, null])
  agent.destroy()
})

it('ends though a caller keeps an idle connection', async () => {
  const agent = new Agent({ keepAlive: true })
  const [response] = (await once(get(`${url}/`, { agent }), 'response')) as [IncomingMessage]
  response.resume()
  await once(response, 'end')
  service.kill('SIGTERM')
  expect(await once(service, 'exit')).toEqual([0, null])
  await expect(fetch(url)).rejects.toThrow()
  agent.destroy()
})

it('ends with 1 when what is left cannot be written', async () => {
  const exit = once(service, 'exit')
  service.send('fail')
  await once(service, 'message')
  service.kill('SIGTERM')
  expect(await exit).toEqual([1, null])
})
