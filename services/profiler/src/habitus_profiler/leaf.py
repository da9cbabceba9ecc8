# SPDX-License-Identifier: Apache-2.0
"""The leaf of a process: the programs, normal forms, slots and vectors seen under one name.

Judged cheapest first: a known form is known; a novel slot is an anomaly, however alike the rest, but for
one that hardly ever meant harm elsewhere (`prior`); only what is left asks for a vector.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from habitus_profiler import loose, manuals, prior
from habitus_profiler.forms import Form
from habitus_profiler.paths import exe_place
from habitus_profiler.saying import Vocabulary, acts, is_quiet, vocabulary_of
from habitus_profiler.slots import WORDS, Slot, SlotBook

Vector = npt.NDArray[np.float32]

MAX_FORMS: Final = 8192
MAX_EXES: Final = 256
_USUAL: Final = 8
_ELSEWHERE: Final = "new words that mostly meant harm elsewhere: "
_LAYERS: Final = {"writable": "in the container's writable layer", "memory": "in memory only"}


_LENIENCE: Final = 2.0


def gated(threshold: float) -> float:
    """Return the cosine that is needed once the slots have found nothing.

    A model's threshold is measured for cosine alone. Behind the slots it decides less, so the distance
    that it allows is twice as large (chosen on the tuning half of tests/nearmiss).
    """
    return 1.0 - (1.0 - threshold) * _LENIENCE


class Novelty(NamedTuple):
    """Why a command line is not known: a line for a person, and what is usual instead."""

    detail: str
    usual: list[str]


class Leaf:
    """What is known of one process under one parent.

    `forms` counts observations of each normal form; `absorbed` are those among them that a stored
    vector already meant; `pending` those whose vector is still asked for. `texts[i]` is the form of
    row i of `vectors` (float16, unit rows).
    """

    __slots__ = (
        "_heard", "_said", "_weighed", "absorbed", "exes", "forms", "pending", "slots", "texts", "vectors",
    )  # fmt: skip

    def __init__(self) -> None:
        self.exes: dict[str, int] = {}
        self.forms: dict[str, int] = {}
        self.slots = SlotBook()
        self.absorbed: set[str] = set()
        self.pending: dict[str, bool] = {}
        """form → whether its slots were new too (then it is news, whatever its vector says)"""
        self.texts: list[str] = []
        self.vectors: npt.NDArray[np.float16] = np.zeros((0, 0), np.float16)
        self._said: tuple[int, Vocabulary] | None = None
        self._heard: tuple[int, prior.Seen] | None = None
        self._weighed: tuple[Form, int, prior.Weighed] | None = None

    def learn(self, exe: str | None, form: Form, layer: str | None = None) -> int:
        """Add one observation; return how many programs and slots are new.

        `layer` is the class of the program's file (`habitus.events.Process.exe_class`). A form never
        seen becomes `pending`: whether it is news is known with its vector.
        """
        new = self._learn_exe(exe)
        if layer:
            new += self.slots.learn(Slot("layer", layer))
        count = self.forms.get(form.text)
        if count is not None:
            self.forms[form.text] = count + 1
            return new
        slots = sum(self.slots.learn(slot) for slot in form.slots)
        if len(self.forms) < MAX_FORMS:
            # The first form of a leaf is news with its leaf, and not once more with its vector.
            self.pending[form.text] = slots > 0 or not self.forms
            self.forms[form.text] = 1
        return new + slots

    def run(self, exe: str | None, form: Form) -> "Run | None":
        """Return where an observation is counted in which nothing is new, None where there is no room to."""
        place = exe_place(exe).text if exe else None
        is_counted = form.text in self.forms and (place is None or place in self.exes)
        return Run(self, place, form.text) if is_counted else None

    def _learn_exe(self, exe: str | None) -> int:
        if not exe:
            return 0
        place = exe_place(exe)
        new = self._exe_novelty(exe) is not None or not self.exes
        if place.text in self.exes or len(self.exes) < MAX_EXES:
            self.exes[place.text] = self.exes.get(place.text, 0) + 1
        return int(new)

    def resolve(self, text: str, vector: Vector, threshold: float, limit: int) -> bool:
        """Take the vector of a pending form; True when the form is news.

        A form that a stored vector means by `threshold` is no news. It is still stored where it
        lies between, so that what is learned first weighs no more than what is learned later.
        """
        pending = self.pending.pop(text, None)
        if pending is None:
            return False
        best = self.nearest(vector, 1)
        cosine = best[0][1] if best else -1.0
        if cosine >= threshold:
            self.absorbed.add(text)
        if cosine < (1.0 + threshold) / 2 and len(self.texts) < limit:
            row = vector.astype(np.float16)[None, :]
            self.vectors = np.concatenate([self.vectors, row]) if self.texts else row
            self.texts.append(text)
        return cosine < threshold and not pending

    def retell(self) -> None:
        """Take from the forms the slots that an older reader did not give: what was learned is no news."""
        for text in self.forms:
            for slot in (*loose.told_again(text), *manuals.told_again(text)):
                self.slots.learn(slot)

    def forget_vectors(self) -> None:
        """Ask for every vector again: another model speaks now."""
        self.pending = dict.fromkeys(self.forms, True)
        self.texts, self.absorbed = [], set()
        self.vectors = np.zeros((0, 0), np.float16)

    def nearest(self, vector: Vector, count: int) -> list[tuple[str, float]]:
        """Return the `count` nearest stored forms with their cosine, best first."""
        if not self.texts:
            return []
        cosines = self.vectors.astype(np.float32) @ vector
        order = np.argsort(-cosines, kind="stable")[:count]
        return [(self.texts[at], float(cosines[at])) for at in order]

    def knows(self, form: Form) -> bool:
        """Say whether a form needs no vector: it was seen, or does nothing but tell of the program."""
        return form.idle or form.text in self.forms

    def is_quiet(self, form: Form) -> bool:
        """Say whether a form without a novelty says nothing new, only asks, or hardly ever meant harm."""
        return self.says_nothing(form) or self._weigh(form, self.strange(form)).acquitted

    def says_nothing(self, form: Form) -> bool:
        """Say whether a form says nothing that was not said before, or only asks."""
        return is_quiet(form.text, self._vocabulary())

    def strange(self, form: Form) -> list[Slot]:
        """Return the slots of a form that this leaf does not know."""
        return [slot for slot in form.slots if not self.slots.knows(slot)]

    def _weigh(self, form: Form, novel: list[Slot]) -> prior.Weighed:
        """Return what to think of a form by what such things meant elsewhere; the last one is kept."""
        state = len(self.forms) + len(self.slots)
        if self._weighed is None or self._weighed[:2] != (form, state):
            if self._heard is None or self._heard[0] != len(self.forms):
                self._heard = len(self.forms), prior.seen_in(self.forms)
            self._weighed = form, state, prior.weigh(form.text, novel, self._heard[1])
        return self._weighed[2]

    def needed(self, form: Form, threshold: float) -> float:
        """Return the cosine that a form without a novelty needs, by the model's threshold."""
        return threshold if acts(form.text, self._vocabulary()) else gated(threshold)

    def _vocabulary(self) -> Vocabulary:
        if self._said is None or self._said[0] != len(self.forms):
            self._said = len(self.forms), vocabulary_of(self.forms)
        return self._said[1]

    def novelty(self, exe: str | None, form: Form, layer: str | None = None) -> Novelty | None:
        """Return what of the program's place, its layer or the slots was never seen here, or None."""
        detail = (self._exe_novelty(exe) if exe else None) or self._layer_novelty(layer)
        if detail:
            return Novelty(detail, sorted(self.exes)[:_USUAL])
        if form.text in self.forms:
            return None
        novel = self.strange(form)
        weighed = self._weigh(form, novel)
        if not novel:
            is_harm = weighed.accused and not form.idle
            return Novelty(_ELSEWHERE + ", ".join(weighed.because), self.usual()) if is_harm else None
        if weighed.acquitted:
            return None
        usual = sorted(value for value in self.slots.seen.get(novel[0].kind, ()))[:_USUAL]
        return Novelty("never seen here: " + "; ".join(map(_spoken, novel[:6])), usual or self.usual())

    def _exe_novelty(self, exe: str) -> str | None:
        place = exe_place(exe)
        if place.text in self.exes:
            return None
        if not self.exes:
            return None if place.fixed or place.place == "?" else f"program in {place.place}: {exe}"
        name = place.text.rsplit("/", 1)[-1]
        if place.fixed and any(
            exe_place(known).fixed and known.rsplit("/", 1)[-1] == name for known in self.exes
        ):
            return None
        return f"program never seen here, in {place.place}: {exe}"

    def _layer_novelty(self, layer: str | None) -> str | None:
        # A node that cannot tell layers says nothing; only where they were told does another one count.
        known = self.slots.seen.get("layer")
        if not known or layer in {None, "image"} or layer in known:
            return None
        return f"the program's file is {_LAYERS.get(str(layer), layer)}, which was never so here"

    def usual(self) -> list[str]:
        """Return the most frequent normal forms."""
        return sorted(self.forms, key=lambda text: (-self.forms[text], text))[:_USUAL]


class Run(NamedTuple):
    """Where a leaf counts what it has seen before: the program's place, where one is told, and the form."""

    leaf: Leaf
    place: str | None
    form: str

    def again(self) -> None:
        """Add one observation."""
        if self.place is not None:
            self.leaf.exes[self.place] += 1
        self.leaf.forms[self.form] += 1


def _spoken(slot: Slot) -> str:
    return f"{WORDS.get(slot.kind, slot.kind)} {slot.value}"
