"""What belongs together: requirement, scenario, test and fault."""
