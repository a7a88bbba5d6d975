"""Delays whose percentiles the histograms of all meshes show, and the bounds within which they do."""

from __future__ import annotations

from collections.abc import Mapping

DELAYS_MS = (150, 800)
"""The delay of 15 % of the requests and that of 5 %; the others are answered at once.

Most meshes know latencies only by the buckets of a histogram, in which Prometheus' ``histogram_quantile()``
interpolates: a value just above an edge is reported anywhere up to the next. The delays lie well inside the
buckets in use (docs/verdicts.md names their users). The edges near the delays, in ms:

* 100, 200, 300; 500, 1000, 2000
* 100, 250; 500, 1000, 2500
* 100, 250; 500, 750, 1000
* 100, 300, 1200
"""

EXPECTED_MS: Mapping[str, tuple[float, float]] = {
    "p50": (0.0, 150.0),
    "p90": (100.0, 400.0),
    "p99": (500.0, 1500.0),
}
"""The accepted milliseconds of each percentile.

The median's bucket ends at 100 ms at the latest. The buckets of the first delay reach from 100 to 300 ms,
those of the second from 300 to 1,200 ms; the 99th percentile lies at four fifths of the way through them, at
800 to 1,020 ms. The margin above allows for the network, the margin below for series that lost some requests.
The mean is about 65 ms, outside the bounds of both the 90th and the 99th percentile.
"""
