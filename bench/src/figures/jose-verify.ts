import { jwtVerify } from 'jose'
import type { TimeFigure } from '../figure.js'
import { createWorkload, rawVerify } from '../workload.js'

export const joseVerify: TimeFigure = {
  group: 'verify',
  name: "jose's jwtVerify, the same entry",
  unit: 'µs',
  floor: 'one Ed25519 verification',
  async prepare() {
    const workload = createWorkload()
    const { entry } = await workload.chain(1)
    return {
      floor: rawVerify(workload, [entry.jws]),
      subject: () => jwtVerify(entry.jws, workload.publicKey),
    }
  },
}
