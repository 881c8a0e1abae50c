// A tool over stdio: started by the agent, which is all that it speaks to.
import { protectMcpServer } from '@kest/mcp'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js'
import { z } from 'zod'
import { placeOf, startWorkload } from './workload.js'

const { kest, stop } = await startWorkload('catalogue', placeOf(process.argv.slice(2)))

const server = protectMcpServer(new McpServer({ name: 'catalogue', version: '1.0.0' }), {
  kest,
  policy: 'tools/task',
})
server.registerTool('search', { inputSchema: { words: z.string() } }, ({ words }) => ({
  content: [{ type: 'text', text: `book-1: everything about ${words}` }],
}))

await server.connect(new StdioServerTransport())
process.stdin.once('end', () => void stop())
