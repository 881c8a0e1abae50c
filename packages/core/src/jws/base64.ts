/**
 * Decodes base64url of which there is one spelling: no padding, no other characters, unused bits zero (K-STRICT).
 * `undefined` for anything else.
 */
export function decodeBase64Url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}

/** As {@link decodeBase64Url}, for standard base64 with its padding. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}
