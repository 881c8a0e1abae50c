import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'

/** Writes one field. */
export type Write = (writer: BinaryWriter) => unknown

export function message(...fields: readonly Write[]): Uint8Array {
  const writer = new BinaryWriter()
  for (const write of fields) write(writer)
  return writer.finish()
}

export const bytes =
  (field: number, value: Uint8Array): Write =>
  (writer) =>
    writer.tag(field, WireType.LengthDelimited).bytes(value)

export const text =
  (field: number, value: string): Write =>
  (writer) =>
    writer.tag(field, WireType.LengthDelimited).string(value)
