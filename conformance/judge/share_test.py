"""Ends a sample of shares early: a sequential likelihood-ratio test.

After every STEP requests the counts are looked at. A backend's count is accepted at a look if the sample is
1 / EARLY_ERROR times as likely under its claimed share as under each wrong share that must be caught
(`statistics.early_alternatives`). The sample ends at the first look that accepts all backends. If none does,
the whole sample of ``ShareTest.most`` requests is judged by the exact regions of `statistics.regions`.

Error rates. Under a wrong share the likelihood ratio is a martingale of mean 1, so that it ever reaches
1 / EARLY_ERROR with a probability of at most EARLY_ERROR, however often it is looked at (J. Ville, "Étude
critique de la notion de collectif", 1939; the boundary is that of A. Wald, "Sequential tests of statistical
hypotheses", Annals of Mathematical Statistics 16, 1945; ending by the likelihoods of the claim against each
of two alternatives is G. Lorden's 2-SPRT, Annals of Statistics 4, 1976). With the whole sample's error of
1 - POWER_AT_END that is 1 - POWER. A look never rejects, and so the probability of rejecting a conforming
mesh is at most that of the whole sample, ALPHA. No sample stays undecided.

A look that rejects would end samples of faulty meshes alone. It would also reject a conforming mesh that
rotates and serves a large weight at a stretch, whose first requests look like all of one backend.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from conformance.judge.statistics import (
    EARLY_ERROR,
    MIN_REQUESTS,
    STEP,
    Region,
    alternatives,
    early_alternatives,
    expected_shares,
    sample_size,
)
from conformance.model.evidence import Look

_LEAST_RATIO = -math.log(EARLY_ERROR)


@dataclass(frozen=True, slots=True)
class ShareTest:
    """A test of shares: ``workloads_by_backend`` names the workloads of a backend that has several.

    ``samples_sharing_alpha`` is the number of samples that share the error rate of one. Its properties raise
    ValueError for weights without a positive sum.
    """

    weights: Mapping[str, int]
    workloads_by_backend: Mapping[str, Sequence[str]] = field(default_factory=dict)
    samples_sharing_alpha: int = 1

    @property
    def most(self) -> int:
        """The requests of the whole sample."""
        return max(sample_size(self.weights, self.samples_sharing_alpha), MIN_REQUESTS)

    def workloads(self, backend: str) -> tuple[str, ...]:
        """The workloads of a backend."""
        return tuple(self.workloads_by_backend.get(backend, (backend,)))

    def looks(self) -> dict[int, dict[str, Region]]:
        """Requests → the counts by backend that end the sample there; looks that cannot are omitted."""
        found = ((n, accepted_at(n, self.weights)) for n in range(STEP, self.most, STEP))
        return {n: regions for n, regions in found if regions}

    def ended_at(self, looks: Sequence[Look]) -> Look | None:
        """The first look that accepts all backends, whose counts are by backend; None if none does."""
        for look in looks:
            accepted = accepted_at(look.sent, self.weights) if look.sent < self.most else {}
            counts = {name: look.answered.get(name, 0) for name in accepted}
            inside = all(region.accepts(counts[name]) for name, region in accepted.items())
            # Backends must have answered every request; otherwise there is a failure to tell.
            if accepted and inside and sum(counts.values()) == look.sent:
                return look
        return None


def accepted_at(n: int, weights: Mapping[str, int]) -> dict[str, Region]:
    """The counts of each backend that a look at ``n`` requests accepts; empty if it accepts none.

    A look at less than MIN_REQUESTS, which could miss a leak of five points, accepts none. Nor does one whose
    first counts to be accepted are not those expected, as the two likelihood ratios are not symmetric.
    """
    if n < MIN_REQUESTS:
        return {}
    shares = expected_shares(weights)
    found = {server: _accepted(n, share) for server, share in shares.items()}
    usable = all(region.low <= n * shares[server] <= region.high for server, region in found.items())
    return found if usable else {}


@lru_cache(maxsize=4096)
def _accepted(n: int, share: float) -> Region:
    if share <= 0 or share >= 1:
        # Nothing astray among so many: as unlikely as it must be under the nearest wrong share.
        shows = all(n * -math.log1p(-abs(wrong - share)) >= _LEAST_RATIO for wrong in alternatives(share))
        count = n if share >= 1 else 0
        return Region(n, count, count if shows else count - 1)
    low, high = 0, n
    for wrong in early_alternatives(share):
        if wrong <= 0:
            # One request is impossible under a share of nothing.
            low = max(low, 1)
        elif wrong >= 1:
            high = min(high, n - 1)
        else:
            # The logarithm of the likelihood ratio of ``count`` is base + count * slope.
            base = n * (math.log1p(-share) - math.log1p(-wrong))
            slope = math.log(share / wrong) - math.log1p(-share) + math.log1p(-wrong)
            bound = (_LEAST_RATIO - base) / slope
            if wrong < share:
                low = max(low, math.ceil(bound))
            else:
                high = min(high, math.floor(bound))
    return Region(n, low, high)
