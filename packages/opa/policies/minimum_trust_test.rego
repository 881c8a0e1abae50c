package kest_test

import data.kest

trust(score, classification) := {"trust_score": score, "environment": {"classification": classification}}

minimum := {"score": 40, "classifications": {"secret": 90}}

test_minimum_trust_is_reached if {
	kest.minimum_trust == true with input as trust(40, "system")
		with data.kest.parameters.minimum_trust as minimum
}

test_minimum_trust_is_not_reached if {
	kest.minimum_trust == {"allow": false, "reason": "trust is 39, at least 40 is required"} with input as trust(39, "system")
		with data.kest.parameters.minimum_trust as minimum
}

test_minimum_trust_of_a_classification if {
	kest.minimum_trust.allow == false with input as trust(89, "secret")
		with data.kest.parameters.minimum_trust as minimum
	kest.minimum_trust == true with input as trust(90, "secret")
		with data.kest.parameters.minimum_trust as minimum
}

test_minimum_trust_without_parameters if {
	kest.minimum_trust.allow == false with input as trust(100, "system")
}
