"""Sample sizes and acceptance regions for claims about shares.

A conforming mesh may draw at random, rotate, or draw once for each connection. Random draws are the
hardest case: each backend's count is binomial. A count is accepted inside the exact two-sided region of
that distribution, so a conforming mesh is rejected with a probability of at most ALPHA for a requirement;
rotating meshes scatter less and are accepted more easily. One sample is drawn and judged once: a rule such
as "best of ten" would turn a tolerance of 5 points into one of 8. `judge.share_test` may end it early.

Sums are exact, over binomial probabilities from ``lgamma``, without a normal approximation.
Source for the exact region: C. J. Clopper, E. S. Pearson, "The use of confidence or
fiducial limits illustrated in the case of the binomial", Biometrika 26 (1934); for sharing the error
among backends: O. J. Dunn, "Multiple comparisons among means", JASA 56 (1961), after Bonferroni.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

ALPHA = 1e-4
"""Highest probability of rejecting a conforming mesh that draws at random, for each requirement.

Thirty requirements of this kind then reject a perfect mesh in 1 - (1 - 1e-4)**30 = 0.3 % of runs.
"""

SAMPLES = 4
"""Samples (several ratios, several clients) by which one requirement may be judged within ALPHA.

Each sample gets ALPHA / SAMPLES, whatever their number; this costs some 10 % more requests than ALPHA for a
single sample: ((4.22 + 3.09) / (3.89 + 3.09))**2 = 1.10 in normal quantiles.
"""

POWER = 0.999
"""Lowest probability of rejecting an error of DETECTABLE_ERROR."""

EARLY_ERROR = 0.0008
"""Highest probability of accepting such an error before the end of a sample; see `judge.share_test`."""

EARLY_REJECTION = 0.01
"""The portion of ALPHA for rejections before the end of a sample: of what is very wrong, if for a while."""

POWER_AT_END = POWER + EARLY_ERROR
"""Lowest probability that the whole sample rejects such an error.

Both ways of accepting it together are then within the power: EARLY_ERROR + (1 - POWER_AT_END) = 1 - POWER.
A smaller EARLY_ERROR would make the whole sample smaller, which few conforming meshes need, and samples that
end early larger.
"""

DETECTABLE_ERROR = 0.05
"""The error that a sample of ``sample_size`` must show, as a portion of all requests: five points.

A share below five points cannot lose as much, and doubling a share of half a point stays below five points.
For these shares the error is relative: no requests, or twice the share; for a share below half a point, no
requests or a whole point, the result of rounding to percents.
"""

ONE_POINT = 0.01
"""The alternative of a share below half a point.

To distinguish 1 in 1,000 from twice itself would take 81,800 requests, from a whole point 12,400.
"""

MIN_REQUESTS = 135
"""Requests of which none may go astray under a claimed share of 0 or of all.

The smallest n at which a leak of DETECTABLE_ERROR shows with POWER: (1 - 0.05)**135 = 0.00098 <= 1 - 0.999.
"""

STEP = 100
"""Requests between two looks at a sample; all sample sizes are multiples."""
_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Region:
    """The counts from ``low`` to ``high``, both included, of ``n`` draws."""

    n: int
    low: int
    high: int

    def accepts(self, count: int) -> bool:
        return self.low <= count <= self.high


def regions(n: int, weights: Mapping[str, int], samples_sharing_alpha: int = 1) -> dict[str, Region]:
    """The accepted counts of each backend when ``n`` requests are divided by ``weights``.

    ``samples_sharing_alpha`` is the number of samples that share the error rate of one. Raises ValueError for
    negative weights, weights without a positive sum, or a negative n.
    """
    if n < 0:
        raise ValueError(f"{n} draws cannot be made")
    alpha = _alpha_per_comparison(len(weights), samples_sharing_alpha)
    return {server: acceptance_region(n, share, alpha) for server, share in expected_shares(weights).items()}


def rotation(n: int, weights: Mapping[str, int]) -> dict[str, Region]:
    """The possible counts of each backend in any ``n`` consecutive requests of a rotation by weight.

    Assumes a rotation that serves each backend's whole weight at once: no other scatters more. Over less than
    a turn (the sum of all weights in requests) it scatters more than random draws. Raises ValueError for
    unusable weights or a negative n.
    """
    if n < 0:
        raise ValueError(f"{n} draws cannot be made")
    turn = sum(weights.values())
    expected_shares(weights)
    turns, rest = divmod(n, turn)
    return {
        server: Region(n, turns * weight + max(0, rest - turn + weight), turns * weight + min(weight, rest))
        for server, weight in weights.items()
    }


def expected_shares(weights: Mapping[str, int]) -> dict[str, float]:
    """The portion of the traffic due to each backend; raises ValueError for unusable weights."""
    total = sum(weights.values())
    if total <= 0 or min(weights.values()) < 0:
        raise ValueError(f"no shares follow from the weights {dict(weights)}")
    return {server: weight / total for server, weight in weights.items()}


def _alpha_per_comparison(backends: int, samples_sharing_alpha: int) -> float:
    # The counts of two backends add up to n, so their regions exclude the same outcomes: one comparison.
    comparisons = backends if backends > 2 else 1
    return ALPHA * (1 - EARLY_REJECTION) / SAMPLES / comparisons / samples_sharing_alpha


def early_alpha(backends: int, samples_sharing_alpha: int) -> float:
    """The part of ALPHA for the rejection of one backend's count, on one side, at any look at a sample."""
    return ALPHA * EARLY_REJECTION / SAMPLES / backends / 2 / samples_sharing_alpha


@lru_cache(maxsize=4096)
def acceptance_region(n: int, share: float, alpha: float) -> Region:
    """The two-sided region of a binomial count: either tail outside it has at most ``alpha`` / 2."""
    if share <= 0 or n == 0:
        return Region(n, 0, 0)
    if share >= 1:
        return Region(n, n, n)
    first, probabilities = _distribution(n, share)
    below = sum(1 for mass in accumulate(probabilities) if mass <= alpha / 2)
    above = sum(1 for mass in accumulate(reversed(probabilities)) if mass <= alpha / 2)
    # Counts outside the computed window have negligible probability: rejected.
    return Region(n, first + below, first + len(probabilities) - 1 - above)


def rejection_probability(region: Region, share: float) -> float:
    """Probability that ``region`` rejects a mesh whose true share is ``share``."""
    if share <= 0:
        return 0.0 if region.accepts(0) else 1.0
    if share >= 1:
        return 0.0 if region.accepts(region.n) else 1.0
    first, probabilities = _distribution(region.n, share)
    low, high = max(0, region.low - first), max(0, region.high - first + 1)
    return min(1.0, math.fsum(probabilities[:low]) + math.fsum(probabilities[high:]))


def alternatives(share: float) -> tuple[float, ...]:
    """The wrong shares nearest to ``share`` that must be rejected with POWER; see DETECTABLE_ERROR."""
    nearest = (
        max(share - DETECTABLE_ERROR, 0.0),
        min(share + DETECTABLE_ERROR, max(2 * share, ONE_POINT), 1.0),
    )
    return tuple(wrong for wrong in nearest if wrong != share)


def early_alternatives(share: float) -> tuple[float, ...]:
    """The wrong shares that a look must exclude before it may accept ``share``.

    The alternatives and, for a share below half a point, three times the share: a whole sample rejects that
    with a probability of 0.8, although a whole point is the alternative, and an early end keeps this.
    """
    tripled = (3 * share,) if 0 < 2 * share < ONE_POINT else ()
    return (*alternatives(share), *tripled)


def sample_size(weights: Mapping[str, int], samples_sharing_alpha: int = 1) -> int:
    """Requests (a multiple of 100) that reject every alternative of every backend with POWER_AT_END.

    A shift between any two backends moves both counts, and each is judged on its own: it suffices that one of
    them shows it. Raises ValueError for unusable weights.
    """
    shares = tuple(sorted(set(expected_shares(weights).values())))
    return _sample_size(shares, _alpha_per_comparison(len(weights), samples_sharing_alpha))


@lru_cache(maxsize=256)
def _sample_size(shares: tuple[float, ...], alpha: float) -> int:
    low, high = 0, STEP
    while not _distinguishes(high, shares, alpha):
        low, high = high, 2 * high
        if high > _MOST:
            raise ValueError(f"a share of {shares[0]:.2g} would take more than {_MOST:,} requests")
    while high - low > STEP:
        middle = (low + high) // (2 * STEP) * STEP
        low, high = (low, middle) if _distinguishes(middle, shares, alpha) else (middle, high)
    return high


def _distinguishes(n: int, shares: tuple[float, ...], alpha: float) -> bool:
    return all(
        rejection_probability(acceptance_region(n, share, alpha), wrong) >= POWER_AT_END
        for share in shares
        for wrong in alternatives(share)
    )


def leak_bound(n: int, confidence: float = POWER) -> float:
    """The largest leak, as a portion, compatible with no leaked request among ``n``, at this confidence.

    The upper Clopper-Pearson bound for a count of 0: 1 - (1 - confidence)**(1/n); 1.0 for n = 0.
    """
    if n <= 0:
        return 1.0
    return -math.expm1(math.log1p(-confidence) / n)


def draws_to_see_all(servers: int) -> int:
    """Draws after which an even random mesh has missed any of ``servers`` with probability ALPHA at most.

    By the union bound: servers * (1 - 1 / servers)**n <= ALPHA.
    """
    if servers <= 1:
        return 1
    return math.ceil(math.log(ALPHA / servers) / math.log1p(-1 / servers))


@lru_cache(maxsize=64)
def _distribution(n: int, share: float) -> tuple[int, tuple[float, ...]]:
    """The first count and the probabilities from it on, without tails below e**-72.

    By Bernstein's inequality a count is further than t = 12 s + 60 from its mean with a probability of at
    most exp(-t**2 / (2 * (s**2 + t / 3))) < e**-72, where s is the standard deviation.
    """
    reach = 12 * math.sqrt(n * share * (1 - share)) + 60
    first, last = max(0, math.floor(n * share - reach)), min(n, math.ceil(n * share + reach))
    return first, tuple(_probabilities(n, share, first, last))


def _probabilities(n: int, share: float, first: int, last: int) -> Iterator[float]:
    log_share, log_rest = math.log(share), math.log1p(-share)
    whole = math.lgamma(n + 1)
    for count in range(first, last + 1):
        ways = whole - math.lgamma(count + 1) - math.lgamma(n - count + 1)
        yield math.exp(ways + count * log_share + (n - count) * log_rest)
