package kest

# METADATA
# title: Forbidden taints
# description: |
#   What is acted on has none of some taints.
#
#   Reads `subject.taints` and `environment.classification`.
#
#   Parameters, `data.kest.parameters.forbidden_taints`:
#     taints           names
#     classifications  more names for what is classified so; may be left out
# entrypoint: true
default forbidden_taints := {"allow": false, "reason": "no taints are named: data.kest.parameters.forbidden_taints"}

forbidden_taints if {
	count(taints_of_all) > 0
	is_texts(names_of_classification)
	is_texts(input.subject.taints)
	is_string(input.environment.classification)
	count(found_taints) == 0
} else := {"allow": false, "reason": concat("", ["tainted: ", concat(", ", sort(found_taints))])} if {
	count(found_taints) > 0
}

found_taints := {taint |
	some taint in input.subject.taints
	taint in unwanted_taints
}

unwanted_taints := taints_of_all | taints_of_classification

# A list that is missing, or empty, names nothing: that is a mistake, and no permission.
taints_of_all := names if {
	is_texts(data.kest.parameters.forbidden_taints.taints)
	names := {name | some name in data.kest.parameters.forbidden_taints.taints}
	count(names) > 0
}

taints_of_classification := {name | some name in names_of_classification}

names_of_classification := object.get(
	object.get(data.kest.parameters.forbidden_taints, "classifications", {}),
	input.environment.classification,
	[],
)
