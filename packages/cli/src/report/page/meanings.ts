import type { FindingCode, Verdict } from '@kest/audit'

/** What each kind of finding means, for whoever does not know the words. */
export const FINDING_MEANINGS: Readonly<Record<FindingCode, string>> = {
  malformed: 'A span carries a signature that is no entry: a damaged export, or somebody’s attempt.',
  broken:
    'An entry was not signed by its principal, or is earlier than its parent. Nothing that builds on it is proven.',
  'principal-unknown': 'The keys that were given have none for who claims to have signed.',
  'entry-id-repeated': 'Two different entries have one id: one of them is forged, or a service is broken.',
  incomplete: 'An entry names a parent that was never exported: its record was lost, or held back.',
  cut: 'A span claims an end of the lineage that never came.',
  unsigned: 'A span tells of an authorization without a signature: it proves nothing.',
  'sequence-gap': 'Numbers are missing between entries of one process: records were lost.',
  'sequence-shared': 'Several principals sign the numbers of one process: what one loses, another hides.',
  'denial-broken':
    'What a span has for a signed denial is none, or its principal has not signed it: it proves nothing.',
  'receipt-without-span':
    'A neighbour holds an entry that its own process did not export: one of the two is wrong.',
  'receipt-broken': 'What a span has for a receipt is none, or does not hold: it proves nothing.',
  silent: 'A workload that should be there has shown nothing verified in time.',
  limit: 'A bound was exceeded, and what lies beyond it was not judged.',
  unreadable: 'Something that was to be read cannot be.',
  'policy-mismatch': 'The text of the policies decides otherwise than what is on record.',
  'revision-not-in-force': 'A text decided when it was not in force.',
  'revision-repeated': 'Different texts of policies have one name, which then proves nothing.',
  'attribute-differs':
    'A span says something else than the entry in it: it was changed on its way or in store.',
  'passport-differs': 'The passport of a span is not the lineage of its entry.',
  'outcome-differs': 'What says how an operation ended is of none, or the second of one.',
  time: 'The time that an entry states is not possible by when its span was received.',
  'sequence-repeated': 'Two entries of a process have one number: a copied key, or a broken process.',
  'sequence-late': 'The first numbers of a process are missing, though it ran before what was exported.',
  'trust-raised': 'An entry claims more trust than its lineage gives; the claim counts for nothing.',
  'taint-dropped': 'An entry leaves out a taint that its lineage has; it has it nevertheless.',
  'trace-differs': 'Entries of one lineage name different traces.',
  'identity-conflict': 'Parents, or ends, disagree on who acts: nobody does from there on.',
  'identity-switched': 'An entry signs in another than its lineage names, and is no authority for that.',
  'message-repeated': 'A message was handled twice, and not because its broker delivered it again.',
  'unlisted-root': 'Lineage was begun by who is not on the list: it has no trust.',
  forked: 'The lineage ends in several tips: work side by side, or a request that was sent twice.',
  root: 'Who began lineage, where no list says who may.',
  'several-roots': 'The trace has several beginnings.',
  duplicated: 'An entry was exported more than once.',
  'trust-overridden': 'An entry raises trust above that of its lineage, and says so.',
  'taint-removed': 'An entry takes taints of its lineage away, and says so.',
  'message-redelivered': 'A message was handled again because its broker delivered it again.',
  'policy-unverifiable': 'What policies decided cannot be decided again.',
  'sequence-start': 'The numbering of a process begins before what was exported.',
  torn: 'An export ends in the middle of a line: whoever wrote it died, and never acknowledged it.',
  skipped: 'A text was looked through and holds no spans.',
}

export const VERDICT_MEANINGS: Readonly<Record<Verdict, string>> = {
  verified: 'Every entry holds, and none is missing that another one, or a span, names.',
  incomplete: 'What is there holds, and something is missing that it names.',
  broken: 'Something does not hold, or cannot be proven.',
  empty: 'There is no entry, and so no proof of anything: denials alone, for example.',
}

/** What no audit can see (K-DECLARED). */
export const NOT_SEEN: readonly string[] = [
  'the last entries of a process, and a whole process, whose spans never came and that nothing names',
  'what a workload with a valid identity chose not to record',
  'where passports are bound to no request: replay of a fresh one by whoever saw it',
]
