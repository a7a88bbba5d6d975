"""The report of a run: verdicts and evidence as one JSON document, and the pages rendered from it."""
