"""One run: its options, the order of its scenarios, its results, and its end."""
