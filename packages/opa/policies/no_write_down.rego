package kest

# METADATA
# title: No write down (Bell-LaPadula)
# description: |
#   Nothing is written below what its lineage has been classified: who has seen secrets writes no public notices. A
#   classification in the lineage that the levels do not have counts as the highest.
#
#   Reads `lineage.classifications` (verified entries only) and `environment.classification`.
#
#   Parameters, `data.kest.parameters.confidentiality`:
#     levels  classifications, the lowest first
# entrypoint: true
default no_write_down := {"allow": false, "reason": "no write down: there is no such classification"}

no_write_down if {
	is_texts(input.lineage.classifications)
	confidentiality_of(input.environment.classification) >= highest_seen
} else := {
	"allow": false,
	"reason": concat("", ["no write down: the lineage has been classified above ", input.environment.classification]),
} if {
	confidentiality_of(input.environment.classification) < highest_seen
}

# Of an operation that begins a lineage nothing has been seen.
highest_seen := max(array.concat([0], [level |
	some classification in input.lineage.classifications
	level := level_or_highest(classification)
]))

level_or_highest(classification) := confidentiality_of(classification)

level_or_highest(classification) := count(data.kest.parameters.confidentiality.levels) if {
	not confidentiality_of(classification)
}
