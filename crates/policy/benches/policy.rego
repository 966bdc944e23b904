package bailiwick

rank := {"Public": 1, "Internal": 2, "Restricted": 3, "Secret": 4, "TopSecret": 5}

default allow := false

allow if {
	input.label.department in input.claims.department
	rank[input.label.clearance] <= rank[input.claims.clearance]
	project
}

project if not input.label.project

project if input.label.project in input.claims.projects

# What a server of OPA is asked for: the ids of the labels that the policy allows.
permitted contains label.id if {
	some label in input.labels
	allow with input as {"claims": input.claims, "label": label.attributes}
}
