import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '@kest/core'
import { kestExpress, protect, wrapRouter } from '@kest/express'
import { createKestFetch } from '@kest/undici'
import express5, { type RequestHandler } from 'express'
import express4 from 'express4'
import multer25 from 'multer'
import multer22 from 'multer-2.2'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Services } from '../src/trial.js'

const warnings: object[] = []
const logger: Logger = {
  debug() {},
  info() {},
  warn: (details) => void warnings.push(details),
  error() {},
}
/** Sends a file of 200,000 bytes, the second half of them when the first is being read. */
async function post(url: string, arrived: Promise<void>): Promise<unknown> {
  const form = new FormData()
  form.set('file', new Blob(['x'.repeat(200_000)]), 'file.txt')
  const whole = new Response(form)
  const bytes = Buffer.from(await whole.arrayBuffer())
  const request = httpRequest(url, {
    method: 'POST',
    headers: { 'content-type': whole.headers.get('content-type') ?? '', 'content-length': bytes.length },
  })
  request.write(bytes.subarray(0, bytes.length / 2))
  await arrived
  await sleep(20)
  request.end(bytes.subarray(bytes.length / 2))
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return json(response)
}

const closing: (() => void)[] = []
let services: Services
beforeAll(async () => {
  services = await new Services().start()
})
beforeEach(() => void warnings.splice(0))
afterAll(async () => {
  for (const close of closing) close()
  await services.close()
})

const majors = [
  ['5', express5],
  ['4', express4],
] as const
const parsers = [
  ['multer 2.2', multer22],
  ['multer 2.5', multer25],
] as const

describe.each(majors)('K-STATE on Express %s', (_, express) => {
  describe.each(parsers)('K-STATE behind %s', (parser, multer) => {
    type Place = (app: express5.Express, upload: RequestHandler, handler: RequestHandler) => void
    const user = 'alice'

    /** Uploads a file, and answers as whom the handler behind it calls. */
    async function upload(place: Place, explicit = false): Promise<unknown> {
      const kest = services.front(logger)
      const fetch = createKestFetch({ kest, propagateTo: [services.back] })
      const handler: RequestHandler = async (req, res) => {
        const response = await (explicit ? req.kest!.fetch : fetch)(`${services.back}/whoami`)
        const file = (req as { file?: { size: number } }).file
        res.json({ size: file?.size, ...((await response.json()) as object) })
      }
      const app = express()
      app.use(kestExpress({ kest, origin: 'user_input', fetch }))
      let arrive = (): void => undefined
      const arrived = new Promise<void>((resolve) => {
        arrive = resolve
      })
      app.use((_req, _res, next) => {
        arrive()
        next()
      })
      place(app, multer({ storage: multer.memoryStorage() }).single('file') as RequestHandler, handler)
      const server = app.listen(0, '127.0.0.1')
      closing.push(() => server.close())
      await new Promise((resolve) => server.once('listening', resolve))
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/files`
      return post(url, arrived)
    }

    it.each<[string, Place]>([
      [
        'wrapRouter',
        (app, file, handler) => {
          app.use(wrapRouter(express.Router(), { policy: 'allow', user }).post('/files', file, handler))
        },
      ],
      [
        'wrapRouter, its guard last',
        (app, file, handler) => {
          app.use(
            wrapRouter(express.Router(), { policy: 'allow', user, guard: 'last' }).post(
              '/files',
              file,
              handler,
            ),
          )
        },
      ],
      [
        'protect() behind it',
        (app, file, handler) => {
          app.post('/files', file, protect({ policy: 'allow', user }), handler)
        },
      ],
    ])('K-STATE a call is made as the user of the request, with %s', async (_name, place) => {
      expect(await upload(place)).toEqual({ size: 200_000, user: 'alice' })
      expect(warnings).not.toContainEqual(expect.objectContaining({ origin: services.back }))
    })

    const inFront: Place = (app, file, handler) => {
      app.post('/files', protect({ policy: 'allow', user }), file, handler)
    }

    it('K-STATE with protect() in front of it, an explicit call is', async () => {
      expect(await upload(inFront, true)).toEqual({ size: 200_000, user: 'alice' })
    })

    it('K-STATE with protect() in front of it, a call that lost the state leaves without a passport, and is warned of', async () => {
      const answer = await upload(inFront)
      if (parser === 'multer 2.5') expect(answer).toEqual({ size: 200_000, user: 'alice' })
      else {
        expect(answer).toMatchObject({ code: 'ERR_KEST_LINEAGE_MISSING' })
        expect(warnings).toContainEqual(expect.objectContaining({ origin: services.back, count: 1 }))
      }
    })
  })
})
