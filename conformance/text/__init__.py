"""Text handling that knows nothing of the suite: suggestions, Markdown, YAML, safe output, files."""
