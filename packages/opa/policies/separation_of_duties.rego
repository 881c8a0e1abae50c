package kest

# METADATA
# title: Separation of duties by user
# description: |
#   Whoever asked for something does not approve it: the user of this operation is none of those whom the object names.
#
#   Reads `subject.user` and `object.attributes`.
#
#   Parameters, `data.kest.parameters.separation_of_duties`:
#     attributes  of the object, each a user or a list of users who have had a duty. The empty list says that nobody has
#                 had it yet; what is no text, or a list of anything else, says nothing, and denies
# entrypoint: true
default separation_of_duties := {"allow": false, "reason": "separation of duties: no user, or data.kest.parameters.separation_of_duties names an attribute that is not there, or names no users"}

separation_of_duties if {
	is_string(input.subject.user)
	is_texts(duty_attributes)
	count(duty_attributes) > 0
	every attribute in duty_attributes {
		users := users_of(input.object.attributes[attribute])
		not input.subject.user in users
	}
} else := {"allow": false, "reason": "separation of duties: the user has had a duty before"} if {
	some attribute in duty_attributes
	input.subject.user in users_of(input.object.attributes[attribute])
}

duty_attributes := data.kest.parameters.separation_of_duties.attributes

users_of(value) := {value} if is_string(value)

users_of(value) := {user | some user in value} if is_texts(value)
