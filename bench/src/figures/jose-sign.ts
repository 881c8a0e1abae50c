import { type JWTPayload, SignJWT } from 'jose'
import type { TimeFigure } from '../figure.js'
import { createWorkload, rawSign } from '../workload.js'

export const joseSign: TimeFigure = {
  group: 'sign',
  name: "jose's SignJWT, the same payload",
  unit: 'µs',
  floor: 'one Ed25519 signature',
  async prepare() {
    const workload = createWorkload()
    const { entry } = await workload.chain(2)
    const payload = entry.entry as unknown as JWTPayload
    return {
      floor: rawSign(workload, entry.jws),
      subject: () =>
        new SignJWT(payload).setProtectedHeader({ alg: 'EdDSA', typ: 'JWS' }).sign(workload.privateKey),
    }
  },
}
