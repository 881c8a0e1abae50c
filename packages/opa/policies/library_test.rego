package kest_test

import data.kest

denied(decision) if decision.allow == false

# Forbidden taints

tainted(taints, classification) := {"subject": {"taints": taints}, "environment": {"classification": classification}}

unwanted := {"taints": ["malware"], "classifications": {"payment": ["user_input"]}}

test_no_forbidden_taint if {
	kest.forbidden_taints == true with input as tainted(["user_input"], "system")
		with data.kest.parameters.forbidden_taints as unwanted
}

test_a_forbidden_taint if {
	kest.forbidden_taints == {"allow": false, "reason": "tainted: malware"} with input as tainted(["malware", "x"], "system")
		with data.kest.parameters.forbidden_taints as unwanted
}

test_a_taint_forbidden_for_a_classification if {
	denied(kest.forbidden_taints) with input as tainted(["user_input"], "payment")
		with data.kest.parameters.forbidden_taints as unwanted
}

test_forbidden_taints_without_parameters if {
	denied(kest.forbidden_taints) with input as tainted([], "system")
	denied(kest.forbidden_taints) with input as tainted([], "system") with data.kest.parameters.forbidden_taints as {"taints": []}
}

# Required hops

came(principals, id) := {"lineage": {"principals": principals}, "object": {"id": id}}

hops := {"principals": ["a", "b"], "operations": {"pay": ["a", "c", "b"]}}

test_required_hops_in_order if {
	some principals in [["a", "b"], ["x", "a", "y", "b"], ["a", "b", "a"]]
	kest.required_hops == true with input as came(principals, "read") with data.kest.parameters.required_hops as hops
}

test_required_hops_out_of_order if {
	every principals in [[], ["a"], ["b"], ["b", "a"], ["b", "a", "b"]] {
		denied(kest.required_hops) with input as came(principals, "read") with data.kest.parameters.required_hops as hops
	}
}

test_required_hops_of_an_object if {
	denied(kest.required_hops) with input as came(["a", "b"], "pay") with data.kest.parameters.required_hops as hops
	kest.required_hops == true with input as came(["a", "c", "b"], "pay") with data.kest.parameters.required_hops as hops
}

test_required_hops_without_parameters if {
	denied(kest.required_hops) with input as came(["a", "b"], "read")
	denied(kest.required_hops) with input as came(["a", "b"], "read") with data.kest.parameters.required_hops as {"principals": []}
}

# Bell-LaPadula

confidentiality := {"levels": ["public", "internal", "secret"], "clearances": {"clerk": "internal", "odd": "unheard of"}}

reads(workload, classification) := {"subject": {"workload": workload}, "environment": {"classification": classification}}

test_no_read_up if {
	every classification in ["public", "internal"] {
		kest.no_read_up == true with input as reads("clerk", classification)
			with data.kest.parameters.confidentiality as confidentiality
	}
	denied(kest.no_read_up) with input as reads("clerk", "secret") with data.kest.parameters.confidentiality as confidentiality
}

test_no_read_up_by_whoever_is_not_known if {
	every workload in ["stranger", "odd"] {
		denied(kest.no_read_up) with input as reads(workload, "public")
			with data.kest.parameters.confidentiality as confidentiality
	}
	denied(kest.no_read_up) with input as reads("clerk", "unheard of")
		with data.kest.parameters.confidentiality as confidentiality
	denied(kest.no_read_up) with input as reads("clerk", "public")
}

writes(seen, classification) := {"lineage": {"classifications": seen}, "environment": {"classification": classification}}

test_no_write_down if {
	kest.no_write_down == true with input as writes(["public", "internal"], "internal")
		with data.kest.parameters.confidentiality as confidentiality
	kest.no_write_down == true with input as writes([], "public") with data.kest.parameters.confidentiality as confidentiality
	denied(kest.no_write_down) with input as writes(["secret", "public"], "internal")
		with data.kest.parameters.confidentiality as confidentiality
}

test_no_write_down_of_what_is_not_known if {
	denied(kest.no_write_down) with input as writes(["unheard of"], "secret")
		with data.kest.parameters.confidentiality as confidentiality
	denied(kest.no_write_down) with input as writes([], "unheard of")
		with data.kest.parameters.confidentiality as confidentiality
	denied(kest.no_write_down) with input as writes([], "public")
}

# Biba

into(score, taints, classification) := {
	"trust_score": score,
	"subject": {"taints": taints},
	"environment": {"classification": classification},
}

ledger := {"classifications": {"ledger": {"trust": 90, "taints": ["reviewed"]}, "bare": {"trust": 0}}}

test_integrity if {
	kest.integrity == true with input as into(90, ["reviewed"], "ledger") with data.kest.parameters.integrity as ledger
	denied(kest.integrity) with input as into(89, [], "ledger") with data.kest.parameters.integrity as ledger
	denied(kest.integrity) with input as into(100, ["llm"], "ledger") with data.kest.parameters.integrity as ledger
	denied(kest.integrity) with input as into(100, ["llm"], "bare") with data.kest.parameters.integrity as ledger
}

test_integrity_of_what_is_not_known if {
	denied(kest.integrity) with input as into(100, [], "unheard of") with data.kest.parameters.integrity as ledger
	denied(kest.integrity) with input as into(100, [], "ledger")
}

# Separation of duties

approves(user, attributes) := {"subject": {"user": user}, "object": {"attributes": attributes}}

duties := {"attributes": ["requested_by", "reviewers"]}

test_separation_of_duties if {
	kest.separation_of_duties == true with input as approves("carol", {"requested_by": "alice", "reviewers": ["bob"]})
		with data.kest.parameters.separation_of_duties as duties
	every user in ["alice", "bob"] {
		denied(kest.separation_of_duties) with input as approves(user, {"requested_by": "alice", "reviewers": ["bob"]})
			with data.kest.parameters.separation_of_duties as duties
	}
}

test_separation_of_duties_of_what_is_not_known if {
	every given in [[null, {"requested_by": "alice", "reviewers": []}], ["carol", {}], ["carol", {"requested_by": "alice", "reviewers": 7}]] {
		denied(kest.separation_of_duties) with input as approves(given[0], given[1])
			with data.kest.parameters.separation_of_duties as duties
	}
	denied(kest.separation_of_duties) with input as approves("carol", {})
	denied(kest.separation_of_duties) with input as approves("carol", {})
		with data.kest.parameters.separation_of_duties as {"attributes": []}
}

acts(workload, id, done) := {
	"subject": {"workload": workload},
	"object": {"id": id},
	"lineage": {"principals": [one[0] | some one in done], "operations": [one[1] | some one in done]},
}

exclusions := {"excludes": {"pay": ["approve"]}}

test_separation_of_workloads if {
	kest.separation_of_workloads == true with input as acts("b", "pay", [["a", "approve"], ["b", "read"]])
		with data.kest.parameters.separation_of_workloads as exclusions
	denied(kest.separation_of_workloads) with input as acts("a", "pay", [["a", "approve"], ["b", "read"]])
		with data.kest.parameters.separation_of_workloads as exclusions
	denied(kest.separation_of_workloads) with input as acts("b", "read", [])
		with data.kest.parameters.separation_of_workloads as exclusions
	denied(kest.separation_of_workloads) with input as acts("b", "pay", [])
}

# Allowed callers

called(principals, id) := {
	"lineage": {"principals": principals},
	"object": {"id": id},
	"environment": {"is_root": principals == []},
}

callers := {"callers": ["spiffe://example.org/web", "spiffe://example.org/jobs/*"], "operations": {"pay": ["spiffe://example.org/shop"]}}

test_allowed_callers if {
	every last in ["spiffe://example.org/web", "spiffe://example.org/jobs/nightly"] {
		kest.allowed_callers == true with input as called(["spiffe://example.org/x", last], "read")
			with data.kest.parameters.allowed_callers as callers
	}
	kest.allowed_callers == true with input as called(["spiffe://example.org/shop"], "pay")
		with data.kest.parameters.allowed_callers as callers
}

test_other_callers if {
	every principals in [
		[],
		["spiffe://example.org/web", "spiffe://example.org/x"],
		["spiffe://example.org/jobs"],
		["spiffe://example.org/jobsite/x"],
		["spiffe://example.org/webx"],
	] {
		denied(kest.allowed_callers) with input as called(principals, "read")
			with data.kest.parameters.allowed_callers as callers
	}
	denied(kest.allowed_callers) with input as called(["spiffe://example.org/web"], "pay")
		with data.kest.parameters.allowed_callers as callers
	denied(kest.allowed_callers) with input as called(["spiffe://example.org/web"], "read")
}

test_roots_without_a_caller if {
	kest.allowed_callers == true with input as called([], "read")
		with data.kest.parameters.allowed_callers as {"roots": true}
}

# Business hours: 2030-01-07 is a Monday.

at(text) := time.parse_rfc3339_ns(text)

office := {"zone": "Europe/Berlin", "from": 9, "to": 17}

test_business_hours if {
	every open in ["2030-01-07T08:00:00Z", "2030-01-07T15:59:59Z"] {
		kest.business_hours == true with time.now_ns as at(open) with data.kest.parameters.business_hours as office
	}
	every closed in ["2030-01-07T07:59:59Z", "2030-01-07T16:00:00Z", "2030-01-06T12:00:00Z"] {
		denied(kest.business_hours) with time.now_ns as at(closed) with data.kest.parameters.business_hours as office
	}
}

test_business_hours_without_parameters if {
	denied(kest.business_hours) with time.now_ns as at("2030-01-07T12:00:00Z")
	denied(kest.business_hours) with time.now_ns as at("2030-01-07T12:00:00Z")
		with data.kest.parameters.business_hours as {"from": 0}
}
