import { ASN1Obj } from '@sigstore/core'
import { onlyElement } from './element.js'

/** Reads one DER value: all of the bytes, and what lies within. Throws whatever it meets. */
export function readDer(der: Uint8Array): ASN1Obj {
  onlyElement(der)
  return ASN1Obj.parseBuffer(Buffer.from(der))
}

/** DER has one way to say it. */
export function isTrue(object: ASN1Obj | undefined): boolean {
  const value = object?.toBoolean()
  if (object?.value.length !== 1 || (value === true && object.value[0] !== 0xff))
    throw new Error('a malformed boolean')
  return value === true
}
