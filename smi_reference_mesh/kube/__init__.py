"""Kubernetes as the reference mesh uses it: API client, objects, label selectors, certificates."""
