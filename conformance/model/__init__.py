"""The values that evidence, judges and reports share; they import nothing else of the suite."""
