/** As far as they are needed, and as version 3 of the AWS SDK has them: nothing of it is imported. */

export interface SqsAttribute {
  readonly DataType: string | undefined
  readonly StringValue?: string | undefined
  readonly BinaryValue?: Uint8Array | undefined
}

export type SqsAttributes = Readonly<Record<string, SqsAttribute>>

export interface SqsMessage {
  readonly MessageId?: string | undefined
  readonly Body?: string | undefined
  readonly Attributes?: Readonly<Partial<Record<string, string>>> | undefined
  readonly MessageAttributes?: SqsAttributes | undefined
}

/** One message of `SendMessage` or `SendMessageBatch`. */
export interface SqsEntry {
  readonly MessageBody?: string | undefined
  readonly MessageAttributes?: SqsAttributes | undefined
}

export interface SqsInput extends SqsEntry {
  readonly QueueUrl?: string | undefined
  readonly Entries?: readonly SqsEntry[] | undefined
  readonly MessageAttributeNames?: readonly string[] | undefined
  readonly MessageSystemAttributeNames?: readonly string[] | undefined
}

export type SqsMiddleware = (
  next: (args: { readonly input: SqsInput }) => Promise<unknown>,
  context: { readonly commandName?: string },
) => (args: { readonly input: SqsInput }) => Promise<unknown>

export interface SqsClient {
  readonly middlewareStack: { add(middleware: never, options: never): void }
}
