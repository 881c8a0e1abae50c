package kest

# METADATA
# title: Separation of duties by workload
# description: |
#   A workload that has had a duty in this lineage does not have the one that excludes it.
#
#   Reads `subject.workload`, `object.id` and `lineage.principals`, `lineage.operations` (parallel, verified entries only).
#
#   Parameters, `data.kest.parameters.separation_of_workloads`:
#     excludes  id of the object -> operations that whoever acts on it must not have done before
# entrypoint: true
default separation_of_workloads := {"allow": false, "reason": "separation of duties: there is nothing about the object in data.kest.parameters.separation_of_workloads"}

separation_of_workloads if {
	excluded_operations
	is_string(input.subject.workload)
	is_texts(input.lineage.principals)
	is_texts(input.lineage.operations)
	count(done_before & excluded_operations) == 0
} else := {
	"allow": false,
	"reason": concat("", ["separation of duties: the workload has done ", concat(", ", sort(done_before & excluded_operations))]),
} if {
	excluded_operations
}

excluded_operations := {operation |
	some operation in data.kest.parameters.separation_of_workloads.excludes[input.object.id]
} if {
	is_texts(data.kest.parameters.separation_of_workloads.excludes[input.object.id])
}

done_before := {operation |
	some n, operation in input.lineage.operations
	input.lineage.principals[n] == input.subject.workload
}
