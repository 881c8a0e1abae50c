package kest

# METADATA
# title: Business hours
# description: |
#   It is a working hour of a working day, somewhere.
#
#   Reads nothing but the time.
#
#   Parameters, `data.kest.parameters.business_hours`:
#     zone  of the time zone database; default "UTC"
#     days  names of weekdays; default Monday to Friday
#     from  the first hour, 0 to 23
#     to    the first hour that is none any more, 1 to 24
# entrypoint: true
default business_hours := {"allow": false, "reason": "business hours: no hours are set: data.kest.parameters.business_hours"}

business_hours if {
	is_number(data.kest.parameters.business_hours.from)
	is_number(data.kest.parameters.business_hours.to)
	time.weekday([time.now_ns(), business_zone]) in business_days
	hour_of_day >= data.kest.parameters.business_hours.from
	hour_of_day < data.kest.parameters.business_hours.to
} else := {"allow": false, "reason": concat("", ["business hours: closed in ", business_zone])} if {
	is_number(data.kest.parameters.business_hours.from)
	is_number(data.kest.parameters.business_hours.to)
}

business_zone := object.get(data.kest.parameters.business_hours, "zone", "UTC")

business_days := object.get(
	data.kest.parameters.business_hours,
	"days",
	["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"],
)

hour_of_day := time.clock([time.now_ns(), business_zone])[0]
