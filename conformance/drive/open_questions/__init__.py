"""Open questions of the specification: trials of objects in question, beside a valid one."""
