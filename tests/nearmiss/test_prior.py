# SPDX-License-Identifier: Apache-2.0
"""The weights of departures are those of the tuning half as it is, and of nothing else."""

from importlib.resources import files

from habitus_nearmiss import digest_of


def test_the_weights_are_learned_from_the_tuning_half_as_it_is():
    """Whoever changes it runs `make prior`."""
    table = (files("habitus_profiler") / "prior.tsv").read_text("utf-8")
    assert f"sha256 {digest_of('tuning')}" in table.splitlines()[1], "make prior"
