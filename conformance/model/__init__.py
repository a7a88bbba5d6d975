"""The values that driving, judges and reports share; they import nothing else of the suite."""
