"""Text handling independent of the suite: suggestions, Markdown, YAML, safe output, files."""
