import { fileURLToPath } from 'node:url'
import type { Kest } from '@kest/core'
import { kestMcpClient } from '@kest/mcp'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Place } from './workload.js'

/** What a user asks for. */
export interface Request {
  readonly user: string
  readonly task: string
  readonly words: string
}

/** What the model, if there were one, would decide to call. */
interface Step {
  readonly tool: string
  readonly arguments: Record<string, unknown>
}

const INFO = { name: 'agent', version: '1.0.0' }

/** An agent with two servers of tools. Its model is a script, which goes too far at the end. */
export class Agent {
  readonly #kest: Kest
  readonly #clients: ReadonlyMap<string, Client>

  private constructor(kest: Kest, clients: ReadonlyMap<string, Client>) {
    this.#kest = kest
    this.#clients = clients
  }

  static async connect(kest: Kest, catalogue: Place, orders: string): Promise<Agent> {
    const results = { policy: 'agent/results' }
    const local = kestMcpClient(new Client(INFO), { kest, carry: true, results })
    const program = fileURLToPath(new URL('catalogue.js', import.meta.url))
    await local.connect(
      new StdioClientTransport({
        command: process.execPath,
        args: [program, catalogue.socket, catalogue.out],
      }),
    )
    const remote = kestMcpClient(new Client(INFO), { kest, carry: [orders], results })
    await remote.connect(new StreamableHTTPClientTransport(new URL(orders)) as never)
    const clients = new Map([
      ['search', local],
      ['place', remote],
      ['refund', remote],
    ])
    return new Agent(kest, clients)
  }

  /** Runs a user's request, and says what came of each step. */
  run({ user, task, words }: Request, tell: (line: string) => void): Promise<void> {
    const run = this.#kest.verified(
      { operation: 'agent.run', policy: 'agent/run', origin: 'user_input', user, agent: 'shopping', task },
      async () => {
        let seen = words
        for (let step = await this.#decide(seen); step !== null; step = await this.#decide(seen)) {
          seen = await this.#call(step)
          tell(`${step.tool}(${JSON.stringify(step.arguments)}) → ${seen}`)
        }
      },
    )
    return run()
  }

  async #call({ tool, arguments: args }: Step): Promise<string> {
    try {
      const client = this.#clients.get(tool) as Client
      const { content } = await client.callTool({ name: tool, arguments: args })
      return (content as { text: string }[])[0]?.text ?? ''
    } catch (error) {
      return `refused: ${(error as { data?: { code: string } }).data?.code}`
    }
  }

  async #decide(seen: string): Promise<Step | null> {
    if (seen.startsWith('book-1')) return { tool: 'place', arguments: { item: 'book-1' } }
    if (seen.startsWith('ordered')) return { tool: 'refund', arguments: { item: 'book-1' } }
    return seen.startsWith('refused') ? null : { tool: 'search', arguments: { words: seen } }
  }

  async close(): Promise<void> {
    for (const client of new Set(this.#clients.values())) await client.close()
  }
}
