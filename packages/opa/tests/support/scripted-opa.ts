import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

/** A question as it came. */
export interface Asked {
  readonly method: string
  readonly path: string
  /** What is behind the path, with its question mark. */
  readonly query: string
  readonly authorization: string | undefined
  readonly body: unknown
  /** Resolves when whoever asked has gone before the answer was whole. */
  readonly abandoned: Promise<void>
}

export interface ScriptedOpa {
  readonly url: string
  readonly asked: readonly Asked[]
  /** The next question, once it is there. */
  next(): Promise<Asked>
}

/** A server that answers as it is told, where a real OPA cannot be made to. Ends with the test. */
export async function scriptedOpa(
  answer: (response: ServerResponse, asked: Asked) => void,
  where: { readonly socketPath?: string } = {},
): Promise<ScriptedOpa> {
  const asked: Asked[] = []
  let onAsked: (() => void) | undefined
  const server = createServer((request, response) => {
    const abandoned = new Promise<void>((resolve) => {
      response.on('close', () => {
        if (!response.writableFinished) resolve()
      })
    })
    const come = (text: string): void => {
      const [, path = '', query = ''] = /^([^?]*)(.*)$/s.exec(request.url ?? '') ?? []
      const question = {
        method: request.method ?? '',
        path,
        query,
        authorization: request.headers.authorization,
        body: text === '' ? null : JSON.parse(text),
        abandoned,
      }
      asked.push(question)
      onAsked?.()
      answer(response, question)
    }
    // Whoever leaves before his question is whole is not answered.
    textOf(request).then(come, () => {})
  })
  await new Promise<void>((resolve) => {
    if (where.socketPath === undefined) server.listen(0, '127.0.0.1', resolve)
    else server.listen(where.socketPath, resolve)
  })
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const { port } = (where.socketPath === undefined ? server.address() : { port: 80 }) as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    next: () =>
      new Promise((resolve) => {
        const seen = asked.length
        onAsked = () => {
          const question = asked[seen]
          if (question !== undefined) resolve(question)
        }
      }),
  }
}

/** Answers with a document. */
export function result(document: unknown): (response: ServerResponse) => void {
  return (response) => json(response, { result: document })
}

export function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += chunk
  return text
}
