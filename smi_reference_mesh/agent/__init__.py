"""The sidecar's agent: runs Envoy, keeps its configuration current, reports what it did.

Only the standard library is used, so that a sidecar is up within a fraction of a second.
"""
