# The policy of bailiwick.toml in Rego, for `engine = "rego"` and for a server of OPA:
# the own departments, up to the own clearance, and a project's documents only for its members.
package bailiwick

rank := {"Public": 1, "Internal": 2, "Restricted": 3, "Secret": 4, "TopSecret": 5}

default allow := false

allow if {
	among(input.label.department, input.claims.department)
	rank[input.label.clearance_level] <= rank[input.claims.user_clearance]
	project
}

project if not input.label.project_id

project if among(input.label.project_id, input.claims.projects)

among(value, claim) if value == claim

among(value, claim) if {
	is_array(claim)
	value in claim
}

# What a server of OPA is asked for: the ids of the labels that the policy allows.
permitted contains label.id if {
	some label in input.labels
	allow with input as {"claims": input.claims, "label": label.attributes}
}
