package kest

# Parameters come from operators, and members of the context may be withheld: what is of another kind names nothing, and is
# no permission.
is_texts(list) if {
	is_array(list)
	every item in list {
		is_string(item)
	}
}
