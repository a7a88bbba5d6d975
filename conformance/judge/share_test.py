"""Ends a sample of shares early: a sequential likelihood-ratio test.

After every STEP requests the counts are looked at. A backend's count is accepted at a look if the sample is
1 / EARLY_ERROR times as likely under its claimed share as under each wrong share that must be caught
(`statistics.early_alternatives`). The sample ends at the first look that accepts all backends. If none does,
the whole sample of ``ShareTest.most`` requests is judged by the exact regions of `statistics.regions`.

A look rejects, and ends the sample too, if the requests so far are that unlikely under a claimed share: a
wrong share for a while would be diluted by the end.

Error rates. Under a wrong share the likelihood ratio is a martingale of mean 1, so that it ever reaches
1 / EARLY_ERROR with a probability of at most EARLY_ERROR, however often it is looked at (J. Ville, "Étude
critique de la notion de collectif", 1939; the boundary is that of A. Wald, "Sequential tests of statistical
hypotheses", Annals of Mathematical Statistics 16, 1945; ending by the likelihoods of the claim against each
of two alternatives is G. Lorden's 2-SPRT, Annals of Statistics 4, 1976). With the whole sample's error of
1 - POWER_AT_END that is 1 - POWER. The same holds for rejections: under the claimed share the inverse ratio
ever reaches 1 / `statistics.early_alpha` with at most that probability, so that looks have EARLY_REJECTION of
ALPHA and the whole sample has the rest. No sample stays undecided.

A mesh that rotates may serve a large weight at a stretch, in several workers side by side. Its first requests
are unlike random draws, while its counts never deviate further. So no look rejects counts that a rotation can
have, nor a deviation, in requests, that the whole sample would accept: only the latter has to bear it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from conformance.judge.statistics import (
    EARLY_ERROR,
    MIN_REQUESTS,
    STEP,
    Region,
    alternatives,
    early_alpha,
    early_alternatives,
    expected_shares,
    regions,
    rotation,
    sample_size,
)
from conformance.model.evidence import Look

_LEAST_RATIO = -math.log(EARLY_ERROR)


class Ended(NamedTuple):
    """The look that ended a sample, and the regions of its counts: all are inside, or the look rejects."""

    look: Look
    regions: dict[str, Region]


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

    def looks(self) -> range:
        """The requests at which there are looks."""
        return range(STEP, self.most, STEP)

    def accepted_at(self, n: int) -> dict[str, Region]:
        """The counts of each backend that a look at ``n`` requests accepts; empty if it accepts none.

        A look at less than MIN_REQUESTS, which could miss a leak of five points, accepts none. Nor does one
        that would accept only other counts than those expected: the likelihood ratios are not symmetric.
        """
        if n < MIN_REQUESTS:
            return {}
        shares = expected_shares(self.weights)
        found = {backend: _accepted(n, share) for backend, share in shares.items()}
        usable = all(region.low <= n * shares[backend] <= region.high for backend, region in found.items())
        return found if usable else {}

    def tolerated_at(self, n: int) -> dict[str, Region]:
        """The counts of each backend that a look at ``n`` requests does not reject."""
        alpha = early_alpha(len(self.weights), self.samples_sharing_alpha)
        turns = rotation(n, self.weights)
        whole = regions(self.most, self.weights, self.samples_sharing_alpha)
        found = {}
        for backend, share in expected_shares(self.weights).items():
            likely, turn = _tolerated(n, share, alpha), turns[backend]
            missing = math.ceil((n - self.most) * share + whole[backend].low)
            too_many = math.floor((n - self.most) * share + whole[backend].high)
            low, high = min(likely.low, turn.low, missing), max(likely.high, turn.high, too_many)
            found[backend] = Region(n, max(low, 0), min(high, n))
        return found

    def ended_at(self, looks: Sequence[Look], sent: int) -> Ended | None:
        """The first look, with counts by backend, that accepts or rejects them, and so ended the sample.

        None if none does, or if the sample of ``sent`` requests went on for a whole STEP after it: this test
        did not end it, and must not choose the look that it likes.
        """
        for look in looks:
            if look.sent >= self.most:
                return None
            counts = {backend: look.answered.get(backend, 0) for backend in self.weights}
            accepted, tolerated = self.accepted_at(look.sent), self.tolerated_at(look.sent)
            # Backends must have answered every request; otherwise there is a failure to tell.
            accepts = accepted and sum(counts.values()) == look.sent and _inside(counts, accepted)
            if accepts or not _inside(counts, tolerated):
                ended = Ended(look, accepted if accepts else tolerated)
                return ended if sent < look.sent + STEP else None
        return None


def _inside(counts: Mapping[str, int], regions: Mapping[str, Region]) -> bool:
    return all(region.accepts(counts[backend]) for backend, region in regions.items())


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
        elif wrong < share:
            low = max(low, math.ceil(_count_at(_LEAST_RATIO, n, share, wrong)))
        else:
            high = min(high, math.floor(_count_at(_LEAST_RATIO, n, share, wrong)))
    return Region(n, low, high)


@lru_cache(maxsize=4096)
def _tolerated(n: int, share: float, alpha: float) -> Region:
    if share <= 0 or share >= 1:
        count = n if share >= 1 else 0
        return Region(n, count, count)
    most_ratio = -math.log(alpha)
    low, high = 0, n
    for wrong in alternatives(share):
        if wrong <= 0:
            low = max(low, int(n * -math.log1p(-share) >= most_ratio))
        elif wrong >= 1:
            high = min(high, n - int(n * -math.log(share) >= most_ratio))
        elif wrong < share:
            low = max(low, math.floor(_count_at(-most_ratio, n, share, wrong)) + 1)
        else:
            high = min(high, math.ceil(_count_at(-most_ratio, n, share, wrong)) - 1)
    return Region(n, low, high)


def _count_at(log_ratio: float, n: int, share: float, wrong: float) -> float:
    """The count of ``n`` whose likelihood under ``share`` is so many times that under ``wrong``."""
    base = n * (math.log1p(-share) - math.log1p(-wrong))
    slope = math.log(share / wrong) - math.log1p(-share) + math.log1p(-wrong)
    return (log_ratio - base) / slope
