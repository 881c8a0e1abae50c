# What holds in the whole enterprise (docker/kest/deployment.yaml).
package enterprise

embargoed := {"embargoed"}

default no_embargoed_item := false

no_embargoed_item if {
	item := input.object.id
	not item in embargoed
}
