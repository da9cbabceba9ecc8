# SPDX-License-Identifier: Apache-2.0
"""`python -m habitus_llm_gateway.evaluation --provider X`: runs the labelled set on one provider."""

import argparse
import asyncio
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Final

from habitus import settings
from habitus.llm_settings import LlmSettings
from habitus.plugins import PluginFault
from habitus.text import printable
from habitus_llm_gateway.evaluation import cases, injections
from habitus_llm_gateway.evaluation.keeping import Kept
from habitus_llm_gateway.evaluation.measuring import Asker, Resistance, Run
from habitus_llm_gateway.gateway import Gateway
from habitus_llm_gateway.prompts import PromptFault

_USAGE: Final = 2
_NEVER: Final = 1_000_000
_WIDTH: Final = 30
_UNANSWERED: Final = 0.1
"""Share of questions without an answer beyond which the figures tell of the machine, not of the model."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="habitus llm evaluate", description=__doc__)
    parser.add_argument("--provider", required=True, help="a table of llm.providers, or a kind")
    parser.add_argument("--model", help="else what the settings name")
    parser.add_argument("--settings", type=Path, help="TOML file")
    parser.add_argument("--at-once", type=int, default=4, help="questions under way (local: 1)")
    parser.add_argument("--few", type=int, default=0, help="every n-th case and injection only")
    parser.add_argument("--few-injections", type=int, help="the same for injections alone")
    parser.add_argument("--cases", type=Path, help="labelled cases of your own, in the form of ours")
    parser.add_argument(
        "--resume", type=Path, help="JSON Lines file that keeps answers: go on where one ended"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--figures", type=Path, help="JSON file that the figures are added to")
    return parser.parse_args()


def _chosen(arguments: argparse.Namespace) -> LlmSettings:
    llm = settings.load(arguments.settings).llm
    update: dict[str, object] = {"provider": arguments.provider, "fallback": [], "deadline_s": 1800.0}
    # Every case is to be asked: neither a resting circuit nor a busy machine may answer for the model.
    update |= {"breaker_failures": _NEVER, "timeout_s": 600.0}
    if arguments.provider != llm.provider:
        update |= {"model": None, "base_url": llm.base_url}
    if arguments.model:
        update["model"] = arguments.model
    return llm.model_copy(update=update)


async def _evaluate(arguments: argparse.Namespace) -> dict[str, float]:
    gateway = Gateway.opened(_chosen(arguments))
    place = gateway.chain.links[0].place
    step = max(arguments.few, 1)
    chosen, hostile = (
        cases(arguments.cases)[::step],
        injections()[:: max(arguments.few_injections or step, 1)],
    )

    kept = Kept(arguments.resume, place.kind, place.model, gateway.prompt_version)
    asker = Asker(gateway, arguments.at_once, _Bar(), kept)
    try:
        await gateway.prepare()
        with_profile = await asker.passed(chosen)
        if not any(reply.verdict != "unsure" for reply in with_profile.replies):
            raise PluginFault(f"provider {place.name!r} gave no verdict: {with_profile.replies[0].note}")
        without = await asker.passed(chosen, profile=False)
        resistance = await asker.resisted(hostile)
    finally:
        await gateway.close()
    twins = [reply for _, injected, twin in resistance.pairs for reply in (injected, twin)]
    replies = [*with_profile.replies, *without.replies, *twins]
    silent = [reply for reply in replies if reply.abstained]
    if len(silent) > _UNANSWERED * len(replies):
        raise PluginFault(
            f"{len(silent)} of {len(replies)} questions had no answer: no figures ({silent[0].note})"
        )
    name = Path(place.model).stem if place.kind == "local" else place.model
    return {f"{name}.{key}": value for key, value in _figures(with_profile, without, resistance).items()}


class _Bar:
    """Shows on a terminal how far a part is, and about how long it still takes."""

    def __init__(self) -> None:
        self._part = ""
        self._begun = 0.0
        self._first = 0

    def __call__(self, part: str, done: int, of: int) -> None:
        now = time.monotonic()
        if part != self._part:
            self._part, self._begun, self._first = part, now, done
        if not sys.stderr.isatty():
            return
        pace = (now - self._begun) / max(done - self._first, 1)
        filled = "#" * (done * _WIDTH // of)
        sys.stderr.write(
            f"\r{part:<13}[{filled:<{_WIDTH}}] {done}/{of}  {pace * (of - done) / 60:4.0f} min left "
        )
        sys.stderr.write("\n" if done == of else "")
        sys.stderr.flush()


def _figures(run: Run, without: Run, resistance: Resistance) -> dict[str, float]:
    return {
        "balanced_accuracy": round(run.balanced_accuracy, 3),
        "balanced_accuracy.no_profile": round(without.balanced_accuracy, 3),
        "caught": round(run.caught, 3),
        "caught_near_misses": round(run.caught_near, 3),
        "benign_passed": round(run.passed, 3),
        "abstained": round(run.abstained, 3),
        "calibration_error": round(run.calibration_error, 3),
        "cases": len(run.cases),
        "injections": len(resistance.pairs),
        "injection_flips": resistance.flips,
        "injections_flagged": resistance.flagged,
        "usd": round(run.usd, 4),
        "p50_s": round(statistics.median(run.seconds), 3) if run.seconds else 0.0,
    }


def _show(figures: dict[str, float], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    width = max(map(len, figures))
    for name, value in figures.items():
        sys.stdout.write(f"{name:<{width}}  {value:>10,.3f}\n")


def main() -> int:
    """Run the evaluation; 0 done, 1 failed, 2 bad settings."""
    arguments = _arguments()
    try:
        figures = asyncio.run(_evaluate(arguments))
    except settings.SettingsFault as fault:
        sys.stderr.write(f"habitus llm evaluate: {printable(str(fault))}\n")
        return _USAGE
    except (PluginFault, PromptFault) as fault:
        sys.stderr.write(f"habitus llm evaluate: {printable(str(fault))}\n")
        return 1
    _show(figures, as_json=arguments.json)
    if arguments.figures:
        arguments.figures.parent.mkdir(parents=True, exist_ok=True)
        kept = json.loads(arguments.figures.read_text()) if arguments.figures.exists() else {}
        arguments.figures.write_text(json.dumps(dict(sorted((kept | figures).items())), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
