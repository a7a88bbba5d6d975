"""Tests of the suite itself: faults of the reference mesh that it must catch, variants that it must pass."""
