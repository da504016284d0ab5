"""How agents come to one decision: votes by protocol, and conflicts by rule, evidence, judge or person. Pure."""
