package kest

# METADATA
# title: Integrity (Biba)
# description: |
#   Nothing of low integrity gets into what is of high integrity. The integrity of what comes in is that of its trust and its
#   taints; that of what is acted on, of its classification.
#
#   Reads `trust_score`, `subject.taints` and `environment.classification`.
#
#   Parameters, `data.kest.parameters.integrity`:
#     classifications  classification -> {"trust": the least, 0 to 100, "taints": those that are allowed, default none}
# entrypoint: true
default integrity := {"allow": false, "reason": "integrity: there is nothing about the classification in data.kest.parameters.integrity"}

integrity if {
	is_number(integrity_wanted.trust)
	is_number(input.trust_score)
	is_texts(input.subject.taints)
	input.trust_score >= integrity_wanted.trust
	count(taints_beyond) == 0
} else := {"allow": false, "reason": "integrity: the trust is too low"} if {
	input.trust_score < integrity_wanted.trust
} else := {"allow": false, "reason": concat("", ["integrity: tainted: ", concat(", ", sort(taints_beyond))])} if {
	count(taints_beyond) > 0
}

integrity_wanted := data.kest.parameters.integrity.classifications[input.environment.classification]

taints_beyond := {taint |
	some taint in input.subject.taints
	not taint in object.get(integrity_wanted, "taints", [])
}
