// The machine's verification rate: node raw-child.js SECONDS. Prints verifications a second, on all its cores.
import { generateKeyPairSync, type KeyObject, randomBytes, sign, verify } from 'node:crypto'
import { availableParallelism } from 'node:os'

/** What a small entry's signature is about: header and payload. */
const SIGNED_BYTES = 1_180
/** Asked of the thread pool at once, for each core: none of them waits. */
const IN_FLIGHT = 8

const [seconds = '5'] = process.argv.slice(2)

interface Signed {
  readonly digest: string | null
  readonly key: KeyObject
  readonly signature: Buffer
}

const input = randomBytes(SIGNED_BYTES)
const edwards = (): Signed => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return { digest: null, key: publicKey, signature: sign(null, input, privateKey) }
}
const p256 = (): Signed => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { digest: 'sha256', key: publicKey, signature: sign('sha256', input, privateKey) }
}
// As the three workloads of the export sign.
const all = [edwards(), p256(), edwards()]

const start = performance.now()
const end = start + Number(seconds) * 1000
let count = 0

async function lane(): Promise<void> {
  while (performance.now() < end) {
    const { digest, key, signature } = all[count++ % all.length] as Signed
    await new Promise<void>((resolve, reject) => {
      verify(digest, input, key, signature, (error, holds) => {
        if (error === null && holds) resolve()
        else reject(error ?? new Error('a signature of the benchmark does not hold'))
      })
    })
  }
}

await Promise.all(Array.from({ length: IN_FLIGHT * availableParallelism() }, lane))
process.stdout.write(JSON.stringify({ perSecond: (count * 1000) / (performance.now() - start) }))
