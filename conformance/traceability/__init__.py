"""The links between requirement, scenario, test and fault."""
