package kest

# METADATA
# title: No read up (Bell-LaPadula)
# description: |
#   A workload reads nothing that is classified above its clearance.
#
#   Reads `subject.workload` and `environment.classification`.
#
#   Parameters, `data.kest.parameters.confidentiality`:
#     levels      classifications, the lowest first
#     clearances  workload -> classification
# entrypoint: true
default no_read_up := {"allow": false, "reason": "no read up: the workload has no clearance, or there is no such classification"}

no_read_up if {
	clearance >= confidentiality_of(input.environment.classification)
} else := {"allow": false, "reason": concat("", ["no read up: ", input.environment.classification, " is above the clearance"])} if {
	clearance < confidentiality_of(input.environment.classification)
}

clearance := confidentiality_of(data.kest.parameters.confidentiality.clearances[input.subject.workload])

confidentiality_of(classification) := level if {
	is_texts(data.kest.parameters.confidentiality.levels)
	some level, name in data.kest.parameters.confidentiality.levels
	name == classification
}
