# SPDX-License-Identifier: Apache-2.0
"""What the scorer's parts cost and catch: `make bench-scorer`.

The public rule sets are read from outside the repository: BENCH_SIGMA is a checkout of
SigmaHQ/sigma, BENCH_FALCO one of falcosecurity/rules. What is not given has no figure.
"""

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from corpus_reading import DEVELOPMENT, REPORTED, count, lines

from habitus.anomalies import Anomaly
from habitus.events import Container, Event, Process
from habitus.settings import ScorerSettings
from habitus_bench import alert_latency, day, figures
from habitus_bench.line import resident_mb
from habitus_scorer.cluster.window import Window, fitted
from habitus_scorer.engines.rule import SHIPPED
from habitus_scorer.falco.loading import Book
from habitus_scorer.falco.reading import rules_of
from habitus_scorer.incident import Judged
from habitus_scorer.incidents import IncidentBook
from habitus_scorer.panel import Panel
from habitus_scorer.rules_model import Refusal, Rule
from habitus_scorer.ruleset import RuleSet, read_file
from habitus_scorer.sigma.fields import Record

OUT = Path("build/bench/scorer.json")
_ROUNDS = 3
_HUNDRED_THOUSAND = 100_000


def main() -> None:
    """Measure, print and write the figures."""
    found = asyncio.run(_speed()) | _precision() | _clusters() | _sigma() | _falco()
    found |= day.measure() | alert_latency.measure()
    figures.table(found)
    figures.write(OUT, found)


async def _nobody(subject: str, payload: bytes, timeout_s: float) -> bytes:
    raise TimeoutError(f"{subject}, {len(payload)} bytes, {timeout_s:g} s")


async def _speed() -> dict[str, float]:
    """Anomalies a second through all engines but the model, and the folding; one process, no broker."""
    settings = ScorerSettings(engines=["profile", "rule", "cluster"])
    given = list(_mixed(3000))
    best = 0.0
    for _ in range(_ROUNDS):
        panel, book = Panel.seated(settings, _nobody), IncidentBook(settings.cooldown_s)
        began = time.perf_counter()
        for anomaly in given:
            verdict = await panel.judge(anomaly)
            book.fold(Judged.of(anomaly, verdict.scores))
        best = max(best, len(given) / (time.perf_counter() - began))
    return {"anomalies_per_s": best, "rules.us_per_event": _rules_us(given)}


def _rules_us(given: list[Anomaly]) -> float:
    """Processor time of the shipped rules alone, an event."""
    rules = RuleSet([SHIPPED])
    best = float("inf")
    for _ in range(_ROUNDS):
        began = time.process_time()
        for anomaly in given:
            rules.hits(Record(anomaly))
        best = min(best, time.process_time() - began)
    return 1e6 * best / len(given)


def _mixed(count: int) -> Iterator[Anomaly]:
    """Yield the corpus' events again and again, by a hundred containers."""
    events = [line.record.anomaly.event for line in lines()]
    for number in range(count):
        event = events[number % len(events)]
        yield _anomaly(event, number)


def _anomaly(event: Event, number: int) -> Anomaly:
    container = Container(id=f"{number % 100:064d}", image="app:1")
    process = event.process or Process()
    own = Event(
        ts=number * 10**6, class_=event.class_, op=event.op, container=container, process=process,
        file=event.file, network=event.network, id=f"e{number}",
    )  # fmt: skip
    path = ["app:1", event.parent_name, event.process_name]
    return Anomaly(
        id=f"a{number}", event=own, image_key="app:1", revision=1, reason="novel-slot", path=path, detail="",
        replicas=100,
    )  # fmt: skip


def _precision() -> dict[str, float]:
    """The shipped rules on lines of another hand, and beside it on those that rules are chosen by."""
    rules = RuleSet([SHIPPED])
    told, chosen = count(rules, REPORTED), count(rules, DEVELOPMENT)
    return {
        "rules.recall": told.recall,
        "rules.precision": told.precision,
        "rules.alarm_share": told.alarms / told.benign,
        "rules.development.recall": chosen.recall,
        "rules.development.precision": chosen.precision,
    }


def _clusters() -> dict[str, float]:
    """Seconds to take 100 000 anomalies of 5 000 kinds in and to fit them; MB that the process grew by."""
    window = Window(86_400)
    given = [_kind(number) for number in range(_HUNDRED_THOUSAND)]
    before, began = resident_mb(os.getpid()), time.perf_counter()
    for anomaly in given:
        window.add(anomaly)
    window.take(fitted(window.to_fit()))
    took = time.perf_counter() - began
    return {"cluster_100k_s": took, "cluster_100k_mb": resident_mb(os.getpid()) - before}


def _kind(number: int) -> Anomaly:
    kind = number * 7919 % 5000
    words = [chr(97 + int(digit)) * 3 for digit in f"{kind:04d}"]
    process = Process(pid=number, name="run", argv=["/app/run", *words, f"--id={number}"])
    event = Event(ts=number, class_="process", op="exec", container=Container(), process=process)
    return _anomaly(event, number)


def _sigma() -> dict[str, float]:
    """The share of SigmaHQ's rules for Linux that evaluate in full, unmodified."""
    folder = os.environ.get("BENCH_SIGMA")
    if not folder:
        return {}
    read = [
        rule
        for above in sorted(Path(folder).glob("rules*"))
        for path in sorted(above.rglob("*.yml"))
        if "product: linux" in path.read_text(encoding="utf-8")
        for rule in read_file(path, Book())
    ]
    return {"sigma.share_loaded": _share("SigmaHQ", read)}


def _falco() -> dict[str, float]:
    """The share of Falco's public rules that evaluate in full; those off by default count too."""
    folder = os.environ.get("BENCH_FALCO")
    if not folder:
        return {}
    book = Book()
    for path in sorted((Path(folder) / "rules").glob("*.yaml")):
        book.read(path, path.read_text(encoding="utf-8"))
    for item in book.rules():
        item.keys["enabled"] = True
    return {"falco.share_loaded": _share("Falco", list(rules_of(book)))}


def _share(name: str, read: list[Rule | Refusal]) -> float:
    whole = [rule for rule in read if isinstance(rule, Rule) and not rule.narrowed]
    why = Counter(one.reason.split(": ", 1)[-1] for one in read if isinstance(one, Refusal))
    sys.stdout.write(f"{name}: {len(whole)} of {len(read)} rules evaluate in full; the others:\n")
    for reason, times in why.most_common():
        sys.stdout.write(f"  {times:3}  {reason}\n")
    return len(whole) / len(read)


if __name__ == "__main__":
    main()
