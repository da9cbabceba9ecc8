# SPDX-License-Identifier: Apache-2.0
"""The mining story: learn ordinary work, then tell two disguised miners from it, each once."""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from habitus.alerts import Alert
from habitus.bus import Bus
from habitus.images import image_key
from habitus.languages import Bilingual, Language
from habitus.llm_settings import LlmSettings
from habitus_console import profiles, results, watch
from habitus_console.demo import image
from habitus_console.demo.containerd import Containerd, ContainerdFault, Pod
from habitus_console.demo.report import Report, Step
from habitus_console.progress import Progress
from habitus_console.stack import Stack

IMAGE: Final = "webapp:v1"
_WALLET: Final = (
    "44AFFq5kSiGBoZ4NMDwYtN18obc8AemS33DBLWs3H7otXft3XjrpDtQGv7SqSsaBYBb98uNbr2VBBEt7f2wfn3RVGQBEP3A"
)
_LEARN_TIMEOUT_S: Final = 90.0
_ALERT_TIMEOUT_S: Final = 20.0
_QUIET_S: Final = 3.0
_REPLICAS: Final = 3
"""So many live through the story at least: of fewer none can be told from its like."""
_ATTACKS: Final = {
    "xmrig": f"./xmrig -o pool.minexmr.com:4444 -u {_WALLET} -p x --donate-level 1 -k",
    "java": f"./java -o stratum+tcp://pool.minexmr.com:4444 -u {_WALLET} -p x -t 2",
}
# A short window: the story's whole repertoire passes in a second or two.
_ENVIRONMENT: Final = {
    "HABITUS_PROFILER_WINDOW_S": "5",
    "HABITUS_PROFILER_MIN_EVENTS": "60",
    "HABITUS_COLLECTOR_DISCOVERY": "cri",
    # By its readings the replicas are counted, before the first attack comes.
    "HABITUS_COLLECTOR_CPU_EVERY_S": "1",
    "HABITUS_EMBEDDER_PORT": "0",
    "HABITUS_LLM_PORT": "0",
    "HABITUS_SCORER_SINKS": "",
    # Each Pod is attacked to see its own alert, and how soon it comes.
    "HABITUS_SCORER_FOLD_ACROSS": "false",
}


@dataclass(frozen=True)
class Options:
    """How the story is told; `pods`: how many of the replicas are attacked."""

    pods: int
    figures: Path | None
    record_to: Path | None
    language: Language
    llm: LlmSettings


async def play(options: Options, out: Console, err: Console, *, as_json: bool) -> bool:
    """Play the story and print its table; return whether all of it held."""
    if os.geteuid() != 0:
        raise ContainerdFault("the demo runs real containers and needs root: sudo make demo")
    progress = Progress(err)
    # /var/tmp: a real disk on every distribution; containerd's socket needs a short path.
    with tempfile.TemporaryDirectory(prefix="habitus-demo-", dir="/var/tmp") as name:
        folder = Path(name)
        with progress.waiting("building the images and starting containerd"):
            standin = image.compile_standin(folder)
            archives = (image.pause(folder, standin), image.webapp(folder, standin))
        async with Containerd(folder) as runtime:
            for archive in archives:
                await runtime.load(archive)
            environment = _ENVIRONMENT | {"HABITUS_COLLECTOR_CRI_SOCKETS": str(runtime.socket)}
            async with Stack(folder / "stack", environment=environment) as stack, stack.bus() as bus:
                told = _Story(options, runtime, bus, standin, progress)
                report = await told.tell()
                report.resident_mb = {child.name: child.resident_mb for child in stack.children}
    report.show(out, options, as_json=as_json)
    return report.held


class _Story:
    def __init__(
        self, options: Options, runtime: Containerd, bus: Bus, standin: Path, progress: Progress
    ) -> None:
        self._options = options
        self._runtime = runtime
        self._bus = bus
        self._standin = standin
        self._progress = progress
        self._pods: list[Pod] = []

    async def tell(self) -> Report:
        report = Report()
        async with self._recording("learn.jsonl"):
            report.steps.append(await self._learn())
        async with self._recording("detect.jsonl"):
            report.steps.append(await self._more_work())
            for name in _ATTACKS:
                report.steps += [await self._attack(pod, name) for pod in self._pods[: self._options.pods]]
        report.alerts = await results.alerts(self._bus)
        return report

    async def _learn(self) -> Step:
        with self._progress.waiting(f"learning the ordinary work of {IMAGE}"):
            for number in range(max(self._options.pods, _REPLICAS)):
                self._pods.append(await self._runtime.run(f"web-{number}", IMAGE))
            begun = time.monotonic()
            state, events = "no profile", 0
            while state != "detect" and time.monotonic() - begun < _LEARN_TIMEOUT_S:
                await asyncio.sleep(0.2)
                for one in await profiles.summaries(self._bus):
                    if one.image_key.startswith(image_key(IMAGE).split(":")[0]):
                        state, events = one.state, one.convergence.events
        seen = f"{state} after {time.monotonic() - begun:.1f} s and {events} events"
        return Step("ordinary work is learned", "profile in detect by itself", seen, state == "detect")

    async def _more_work(self) -> Step:
        with self._progress.waiting("more ordinary work, new timestamps and ids"):
            before = len(_logs(self._pods))
            await asyncio.sleep(_QUIET_S)
            rounds = len(_logs(self._pods)) - before
            alerts = await results.alerts(self._bus)
            anomalies = len(await results.scored(self._bus, lambda _done, _all: None))
        seen = f"{rounds} rounds, {anomalies} anomalies, {len(alerts)} alerts"
        return Step(
            "(a) the same work, new timestamps",
            "no alert",
            seen,
            bool(rounds) and not alerts and not anomalies,
        )

    async def _attack(self, pod: Pod, name: str) -> Step:
        letter = "b" if name == "xmrig" else "c"
        _drop(pod.root / "tmp" / name, self._standin.read_bytes(), mode=0o755)
        _drop(pod.root / "app/upload/plugin.sh", f"cd /tmp; {_ATTACKS[name]}; cd /\n".encode(), mode=0o644)
        with self._progress.waiting(f"attack ({letter}) in {pod.name}: {_ATTACKS[name][:60]} …"):
            raised = await self._alerts_of(pod, name)
        seen = "; ".join(_seen(alert) for alert in raised) or "no alert"
        title = f"({letter}) ./{name} from bash in {pod.name}"
        asked = self._options.llm.provider is not None
        held = len(raised) == 1 and _complete(raised[0], pod, name, asked=asked)
        return Step(title, "exactly one alert: High, mining", seen, held)

    async def _alerts_of(self, pod: Pod, name: str) -> list[Alert]:
        """Wait for the first alert on this attack, then a while longer for any that should not come."""
        deadline = time.monotonic() + _ALERT_TIMEOUT_S
        while time.monotonic() < deadline:
            if any(alert.who.name == name for alert in _about(await results.alerts(self._bus), pod, name)):
                break
            await asyncio.sleep(0.1)
        # A model may be slower than the alert, which is then told again with its verdict.
        deadline = time.monotonic() + (self._options.llm.patience_s if self._options.llm.provider else 0)
        while time.monotonic() < deadline:
            if all(_judged(alert) for alert in _about(await results.alerts(self._bus), pod, name)):
                break
            await asyncio.sleep(0.2)
        await asyncio.sleep(_QUIET_S)
        return _about(await results.alerts(self._bus), pod, name)

    @contextlib.asynccontextmanager
    async def _recording(self, name: str) -> AsyncIterator[None]:
        if self._options.record_to is None:
            yield
            return
        self._options.record_to.mkdir(parents=True, exist_ok=True)
        with (self._options.record_to / name).open("wb") as file:
            stop = await watch.tap(self._bus, file)
            try:
                yield
            finally:
                await stop()


def _about(alerts: list[Alert], pod: Pod, name: str) -> list[Alert]:
    """The alerts on one attack: every alert of the Pod that is not plainly the other attack's."""
    others = set(_ATTACKS) - {name}
    return [alert for alert in alerts if alert.where.pod == pod.name and alert.who.name not in others]


def _judged(alert: Alert) -> bool:
    return not alert.engines["llm"].abstained


def _seen(alert: Alert) -> str:
    voted = {name: one for name, one in alert.engines.items() if not one.abstained}
    points = (f", {name} {voted[name].points:g}" for name in ("rule", "cluster", "llm") if name in voted)
    return f"{alert.title.en}, {alert.departures[0].reason}{''.join(points)}"


def _worded(alert: Alert, *, asked: bool) -> bool:
    """Whether the title is right: a model may move the severity, and says nothing of its own there."""
    if not asked:
        return alert.title == Bilingual(en="High: container cryptomining", zh="高危：容器挖矿行为检测")
    return alert.title.en.endswith(": container cryptomining")


def _complete(alert: Alert, pod: Pod, name: str, *, asked: bool) -> bool:
    """Whether the alert carries all that a person needs, the model's part too where one was asked."""
    where, who, model = alert.where, alert.who, alert.engines["llm"]
    return all(
        (
            _worded(alert, asked=asked),
            where.pod == pod.name and where.namespace == pod.namespace,
            where.container_id == pod.container,
            image_key(where.image) == image_key(IMAGE),
            who.pid is not None and who.name == name,
            who.lineage == ["bash", name],
            alert.explanation is not None if asked else model.abstained and bool(model.note),
            alert.engines["rule"].points > 0,
            alert.action is not None
            and alert.action.kind == "isolate-pod"
            and alert.action.policy is not None,
        )
    )


def _logs(pods: list[Pod]) -> list[Path]:
    return [log for pod in pods for log in (pod.root / "var/log").glob("access-*.gz")]


def _drop(path: Path, content: bytes, *, mode: int) -> None:
    """Put a file into the container at once and whole, as an upload would."""
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(content)
    partial.chmod(mode)
    partial.rename(path)
