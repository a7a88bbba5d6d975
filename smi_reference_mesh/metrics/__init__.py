"""Requests counted: per sidecar, over a window, and as TrafficMetrics documents. No I/O."""
