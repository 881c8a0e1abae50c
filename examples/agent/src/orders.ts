// Two tools over HTTP. One calls a service, and leaves a job; the other the user's task does not allow.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { protectMcpServer } from '@kest/mcp'
import { createKestFetch } from '@kest/undici'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { z } from 'zod'
import { onStop, tell } from './child.js'
import { JOBS } from './names.js'
import { Queue } from './queue.js'
import { placeOf, startWorkload } from './workload.js'

const place = placeOf(process.argv.slice(2))
const { kest, stop } = await startWorkload('orders', place)
const stock = process.argv[4] as string
const queue = await Queue.open(place.out)
const messages = kest.messages({ propagateTo: [JOBS] })
const fetch = createKestFetch({ kest, propagateTo: [stock] })
const protection = { kest, policy: 'tools/task' } as const
const answer = (text: string) => ({ content: [{ type: 'text' as const, text }] })

function orders(): McpServer {
  const server = protectMcpServer(new McpServer({ name: 'orders', version: '1.0.0' }), protection)
  server.registerTool('place', { inputSchema: { item: z.string() } }, async ({ item }) => {
    const response = await fetch(`${stock}/items/${item}`, { method: 'POST' })
    if (!response.ok) throw new Error(`stock answers ${response.status}`)
    const body = JSON.stringify({ item })
    const headers: Record<string, string> = {}
    await messages.send({ headers, body, to: JOBS })
    await queue.put({ headers, body })
    return answer(`ordered ${item}, to be delivered`)
  })
  server.registerTool('refund', { inputSchema: { item: z.string() } }, ({ item }) =>
    answer(`refunded ${item}`),
  )
  return server
}

const http = createServer((request, response) => {
  // Without sessions: each request has a server of its own.
  const server = orders()
  const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true })
  response.once('close', () => void server.close())
  void server.connect(transport as never).then(() => transport.handleRequest(request, response))
})
http.listen(0, '127.0.0.1', () => tell(`http://127.0.0.1:${(http.address() as AddressInfo).port}`))
onStop(async () => {
  http.close()
  http.closeAllConnections()
  await stop()
})
