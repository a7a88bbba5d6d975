"""The containers of a meshed pod: the init container's interception, and the sidecar's agent with Envoy.

The agent runs Envoy, keeps its configuration current and reports its requests. It imports the standard
library only, so that a sidecar starts within a fraction of a second.
"""
