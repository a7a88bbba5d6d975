"""The suites: a folder for each SMI API, a file for each scenario, in the specification's order."""
