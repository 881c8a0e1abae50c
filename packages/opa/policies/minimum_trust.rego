package kest

# METADATA
# title: Minimum trust
# description: |
#   The trust of the lineage reaches a score.
#
#   Reads `trust_score` and `environment.classification`.
#
#   Parameters, `data.kest.parameters.minimum_trust`:
#     score            0 to 100
#     classifications  scores for what is classified so, instead; may be left out
# entrypoint: true
default minimum_trust := {"allow": false, "reason": "no score is set: data.kest.parameters.minimum_trust"}

minimum_trust if {
	is_number(required_trust)
	is_number(input.trust_score)
	is_string(input.environment.classification)
	input.trust_score >= required_trust
} else := {
	"allow": false,
	"reason": concat("", [
		"trust is ", format_int(input.trust_score, 10),
		", at least ", format_int(required_trust, 10), " is required",
	]),
} if {
	is_number(required_trust)
}

required_trust := object.get(
	object.get(data.kest.parameters.minimum_trust, "classifications", {}),
	input.environment.classification,
	data.kest.parameters.minimum_trust.score,
)
