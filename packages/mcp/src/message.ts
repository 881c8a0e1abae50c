/** A JSON-RPC message as a transport hands it on: nothing of it is checked. */
export type Message = Readonly<Record<string, unknown>>

export type MessageId = string | number

/** What the transport knows of a message: of the request over HTTP that it came in. */
export type MessageExtra = Readonly<Record<string, unknown>>

/** What is used of a transport of any line of the SDK. */
export interface Transport {
  start(): Promise<void>
  send(message: Message, options?: unknown): Promise<void>
  onmessage?: ((message: Message, extra?: MessageExtra) => void) | undefined
  onclose?: (() => void) | undefined
  onerror?: ((error: Error) => void) | undefined
  readonly sessionId?: string | undefined
}

/** Sends a request, and answers its result. */
export type Request = (request: Message, ...rest: unknown[]) => Promise<unknown>

/** What is used of `Server` and `Client`. */
export interface Protocol {
  readonly transport?: Transport | undefined
  connect(transport: Transport, ...rest: unknown[]): Promise<void>
  request: Request
  /** Of line 2: makes what a handler is given. */
  buildContext?(context: HandlerContext, ...rest: unknown[]): unknown
}

interface HandlerContext {
  readonly mcpReq: { readonly send: Request }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Whether it asks for an answer; all that the SDK takes for a request, and more. */
export function isRequest(message: Message): message is Message & { method: string } {
  return isRecord(message) && typeof message['method'] === 'string' && Object.hasOwn(message, 'id')
}

export function isId(id: unknown): id is MessageId {
  return typeof id === 'string' || typeof id === 'number'
}

/** Whether it is an answer, and to which request. */
export function answeredId(message: Message): MessageId | null {
  if (!isRecord(message) || Object.hasOwn(message, 'method')) return null
  const { id } = message
  return isId(id) ? id : null
}

/** Whether an answer is an error, of the protocol or of a tool. */
export function isFailure({ error, result }: Message): boolean {
  return error !== undefined || (isRecord(result) && result['isError'] === true)
}

/** Which request somebody no longer waits for. */
export function cancelledId(message: Message): unknown {
  if (!isRecord(message) || message['method'] !== 'notifications/cancelled') return undefined
  return isRecord(message['params']) ? message['params']['requestId'] : undefined
}
