/** Why something that was to be read cannot be, or not all of it: a finding `unreadable`, or a refusal. */
export class Unreadable extends Error {
  override readonly name: string = 'Unreadable'
}

/** It is not even JSON: its writer may have left it half written. */
export class NotJson extends Unreadable {
  override readonly name = 'NotJson'
}
