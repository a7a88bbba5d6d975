"""The verdicts of one run with their evidence: one JSON document, and what is drawn from it."""
