import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createDevAuthority } from '@kest/spiffe/dev'
import { Agent } from './agent.js'
import { Child } from './child.js'
import { TRUST_DOMAIN, WORKLOADS, type Workload } from './names.js'
import { kest as kestCommand } from './report.js'
import { startWorkload } from './workload.js'

const out = resolve(process.argv[2] ?? join(import.meta.dirname, '../out'))
await rm(out, { recursive: true, force: true })
await mkdir(join(out, 'spans'), { recursive: true })

const quiet = { debug() {}, info() {}, warn() {}, error() {} }
const workloads = Object.fromEntries(WORKLOADS.map((name) => [name, {}]))
const authority = await createDevAuthority({ trustDomain: TRUST_DOMAIN, workloads, logger: quiet })
await writeFile(join(out, 'bundle.json'), JSON.stringify(authority.bundle()))
const placeOf = (name: Workload) => ({ socket: authority.sockets[name] as string, out })

const stock = new Child('stock', placeOf('stock'))
const orders = new Child('orders', placeOf('orders'), await stock.told())
const worker = new Child('worker', placeOf('worker'))
await worker.told()
const { kest, stop } = await startWorkload('agent', placeOf('agent'))
const agent = await Agent.connect(kest, placeOf('catalogue'), await orders.told())

console.log('alice, whose task is to buy books, asks the agent for one about otters.\n')
const delivered = worker.told()
await agent.run({ user: 'alice', task: 'buy-books', words: 'otters' }, (line) => console.log(`  ${line}`))
console.log(`  the worker has ${await delivered}\n`)

await agent.close()
for (const child of [orders, stock, worker]) await child.stop()
await stop()
await authority.close()

console.log('One lineage (Mermaid):\n')
console.log(await kestCommand('graph', out))
console.log('The audit, by the bundle of the trust domain alone:\n')
console.log(await kestCommand('audit', out))
