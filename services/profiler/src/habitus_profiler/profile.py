# SPDX-License-Identifier: Apache-2.0
"""The profile of one image: three tries, what it learned, and what it says of an event.

Pure: no clock but the one it is given, no I/O. Texts that need a vector are handed out (`asks`,
`pending`) and come back with it (`resolve`, `settle`).
"""

from collections.abc import Iterator
from typing import Final

from habitus.anomalies import Neighbour, Reason
from habitus.events import Event
from habitus.profiles import State
from habitus_profiler import estimates, habits
from habitus_profiler.convergence import Learning
from habitus_profiler.familiar import JUDGED, UNTOLD, Familiar, Habit
from habitus_profiler.fleet import Fleet
from habitus_profiler.forms import Form, form_of
from habitus_profiler.judgement import Ask, Echo, Limits, Miss, new_remote, unknown_path
from habitus_profiler.keys import Key, is_habit, key_of
from habitus_profiler.leaf import Leaf, Vector, gated
from habitus_profiler.notes import Held, Notes
from habitus_profiler.trie import Trie
from habitus_profiler.widening import FileRules, NetworkRules

_MAX_OPENED: Final = 1024
_MAX_NAMES: Final = 4096  # beyond, names stay news: an image that makes them up is never learned
_USUAL: Final = 8
_YOUNG: Final = 5
_REPEATED: Final = 1000
_OBSERVING: Final = frozenset({"learn", "relearn"})


class Profile:
    """One image's habits.

    `applied` holds the sequences in EVENTS that are learned and not yet acknowledged for good;
    `dirty` says that the snapshot is older than the profile; `kept` is the snapshot's revision.
    """

    def __init__(self, image_key: str, partition: int, limits: Limits, learning: Learning) -> None:
        self.image_key = image_key
        self.partition = partition
        self.limits = limits
        self.learning = learning
        self.state: State = "learn"
        self.revision = 1
        self.kept = 0
        self.process: dict[str, dict[str, Leaf]] = {}
        self.file = Trie(FileRules(limits.max_children, limits.path_children))
        self.network = Trie(NetworkRules(limits.max_children))
        self.fleet = Fleet()
        self.model = ""
        self.first_event: int | None = None
        self.last_event: int | None = None
        self.converged: int | None = None
        self.applied: set[int] = set()
        self.dirty = True
        self.bytes = 0
        self.notes = Notes()
        self.familiar = Familiar()
        self._opened: dict[tuple[str, str | None], None] = {}  # files whose open was a miss
        self._seen: tuple[int, int] | None = None

    @property
    def observing(self) -> bool:
        """Whether events are learned and not judged."""
        return self.state in _OBSERVING

    @property
    def in_force(self) -> int:
        """The revision by which collectors may hold back what is known, or 0."""
        return 0 if self.observing or self.kept != self.revision else self.revision

    # -- learning -----------------------------------------------------------------------------

    def learn(self, event: Event) -> None:
        """Take an event as a habit."""
        counts = is_habit(event) and not self._follows_open(event)
        new = self._learn(event) if counts else 0
        self.met(event, new, habit=counts)
        if new:
            self.changed()
        elif (key := key_of(event)) and (habit := self._habit(event, counts=counts)):
            self.familiar.remember(key, habit)

    def met(self, event: Event, new: int = 0, *, habit: bool = True) -> None:
        """Count an event and what was new in it, without learning it."""
        self.span(event.ts)
        self.fleet.learn(event)
        self.learning.saw(event.ts, int(habit), new, event.node or "")

    def admit(self, held: Held, *, counted: bool) -> None:
        """Learn what was held back; `counted` says that it counts as news already."""
        new = self._learn(held.event)
        for _ in range(min(held.count, _REPEATED) - 1):
            self._learn(held.event)
        if new:
            self.learning.news(0 if counted else new, held.at)
            self.changed()

    def lost(self, count: int) -> None:
        """Note that events were lost: habits among them are not learned yet."""
        self.learning.lost(count)
        self.dirty = True

    def _learn(self, event: Event) -> int:
        if event.class_ == "file":
            return sum(self.file.learn(path) for path in habits.file_paths(event))
        if event.class_ == "network":
            return self.network.learn(habits.flow_path(event))
        return self._learn_process(event)

    def _habit(self, event: Event, *, counts: bool) -> Habit | None:
        """Return how to count an event again in which nothing was new, None where it is not counted."""
        if not counts:
            return Habit()
        if event.class_ == "file":
            return Habit(nodes=tuple(self.file.find(path).node for path in habits.file_paths(event)))
        if event.class_ == "network":
            return Habit(nodes=(self.network.find(habits.flow_path(event)).node,))
        parent, name = habits.process_path(event)
        exe, form, _ = _command(event)
        run = self.process[parent][name].run(exe, form)
        return Habit(run=run) if run else None

    def _learn_process(self, event: Event) -> int:
        parent, name = habits.process_path(event)
        names = self.process.get(parent)
        new = 0
        if names is None:
            if len(self.process) >= _MAX_NAMES:
                return 1
            names, new = self.process.setdefault(parent, {}), 1
        leaf = names.get(name)
        if leaf is None:
            if len(names) >= _MAX_NAMES:
                return new + 1
            leaf, new = names.setdefault(name, Leaf()), new + 1
        return new + leaf.learn(*_command(event))

    def span(self, ts: int) -> None:
        """Note that there was an event at `ts`."""
        if self.last_event is None or ts > self.last_event:
            self.last_event = ts
        if self.first_event is None or ts < self.first_event:
            self.first_event = ts
        self.dirty = True

    def changed(self) -> None:
        """Note that the profile says other things than before: collectors are to ask anew."""
        self.revision += 1
        self.dirty = True
        self._seen = None
        self.familiar.clear()

    def leaves(self) -> Iterator[Leaf]:
        """Yield every process leaf."""
        for names in self.process.values():
            yield from names.values()

    @property
    def lacks_vectors(self) -> bool:
        """Whether the vector of a learned form is still asked for."""
        return any(leaf.pending for leaf in self.leaves())

    def pending(self) -> list[tuple[Leaf, str]]:
        """Return the forms whose vector is still asked for."""
        return [(leaf, text) for leaf in self.leaves() for text in leaf.pending]

    def resolve(self, leaf: Leaf, text: str, vector: Vector, threshold: float) -> None:
        """Take the vector of a pending form."""
        before = len(leaf.texts)
        news = leaf.resolve(text, vector, self._needed(threshold), self.limits.max_vectors)
        self.dirty = True
        if news and self.observing:
            self.learning.news(1)
        if news or len(leaf.texts) != before:
            self.changed()

    def speaks(self, model: str) -> None:
        """Say which model the vectors come from; those of another are forgotten and asked anew."""
        if model == self.model:
            return
        if self.model:
            for leaf in self.leaves():
                leaf.forget_vectors()
            self.changed()
        self.model = model
        self.dirty = True

    def ready(self) -> bool:
        """Say whether the habits are learned."""
        if not self.observing or not self.learning.rule.by_evidence:
            return False
        return self.learning.converged() and not self.lacks_vectors and not self.notes.due()

    def detect(self, now: int) -> None:
        """Judge from now on (nanoseconds since the epoch)."""
        if self.observing:
            self.state, self.converged = "detect", now
            self.changed()

    # -- judging ------------------------------------------------------------------------------

    def judge(self, event: Event) -> Miss | Ask | Echo | None:
        """Return what of an event the profile does not contain, None when it contains it."""
        jump = self.fleet.jump(event)
        if jump:
            return Miss("usage-jump", [self.image_key, "cpu", "usage"], jump, [])
        key = key_of(event)
        habit = self.familiar.get(key) if key else None
        if habit is None:
            verdict = self._noted(event, self._judged(event, key)) if is_habit(event) else None
            if verdict is None and key:
                is_told = is_habit(event) and not self._workload(event)
                self.familiar.remember(key, JUDGED if is_told else UNTOLD)
            return verdict
        if not habit.tells:
            event.token = b""
        return None

    def _noted(self, event: Event, verdict: Miss | Ask | Echo | None) -> Miss | Ask | Echo | None:
        """Return the verdict by what people and rules said: benign, or never to be learned."""
        if verdict is None or self.notes.allows(event):
            return None
        refusal = self.notes.refusal(event)
        if refusal is None or isinstance(verdict, Echo):
            return verdict
        reason: Reason = verdict.reason if isinstance(verdict, Miss) else "unknown-argument"
        return Miss(reason, verdict.path, f"refused while learning: rule {refusal.rule}", [])

    def settle(self, ask: Ask, vector: Vector, threshold: float) -> Miss | None:
        """Decide by the vector of `ask.form.text`; the leaf must have none pending."""
        needed = self._needed(threshold, ask)
        nearest = ask.leaf.nearest(vector, 3)
        if nearest and nearest[0][1] >= needed:
            if ask.key is not None:
                self.familiar.remember(ask.key, JUDGED)
            return None
        best = f"{nearest[0][1]:.2f} to {nearest[0][0]}" if nearest else "no vector to compare with"
        neighbours = [Neighbour(text=text[:300], cosine=round(cosine, 4)) for text, cosine in nearest]
        detail = f"arguments never seen here: best cosine {best} (needs {needed:.2f})"
        return Miss("unknown-argument", ask.path, detail, ask.leaf.usual(), neighbours, needed)

    def _needed(self, threshold: float, ask: Ask | None = None) -> float:
        own = ask.leaf.needed(ask.form, threshold) if ask else gated(threshold)
        return own if self.limits.threshold is None else self.limits.threshold

    def _judged(self, event: Event, key: Key | None) -> Miss | Ask | Echo | None:
        if event.class_ == "process":
            return self._judge_process(event, key)
        if event.class_ == "network":
            return self._judge_network(event)
        return self._judge_file(event)

    def _judge_file(self, event: Event) -> Miss | Echo | None:
        if self._follows_open(event):
            return None
        misses = (self._missing(self.file, path) for path in habits.file_paths(event))
        miss = next((miss for miss in misses if miss), None)
        if not miss or not event.file:
            return miss
        opened = event.process_name, event.file.path
        if event.op in habits.OPENS:
            self._opened[opened] = None
            if len(self._opened) > _MAX_OPENED:
                del self._opened[next(iter(self._opened))]
        elif event.file.bytes is not None and opened in self._opened:
            return Echo()
        return miss

    def _follows_open(self, event: Event) -> bool:
        """Whether an event reads or writes a file that it is a habit to open for that: no other habit."""
        told = event.file is not None and event.file.bytes is not None  # the cheap answer first
        return told and any(self.file.find(path).known for path in habits.opening_paths(event))

    def _judge_network(self, event: Event) -> Miss | None:
        workload = self._workload(event)
        if workload:
            # The kernel would hold back the whole network by this event's token.
            event.token = b""
        return self._missing(self.network, workload or habits.network_path(event))

    def _workload(self, event: Event) -> tuple[str, ...] | None:
        """Return the habit by the workload at the other end, where the network is not known by itself."""
        workload = habits.workload_path(event)
        return workload if workload and not self.network.find(habits.network_path(event)).known else None

    def _missing(self, trie: Trie, path: tuple[str, ...]) -> Miss | None:
        found = trie.find(path)
        if found.known:
            return None
        if trie is self.network and habits.is_known_port(path, found):
            return new_remote(self.image_key, path, found)
        return unknown_path(self.image_key, path, found)

    def _judge_process(self, event: Event, key: Key | None) -> Miss | Ask | None:
        parent, name = habits.process_path(event)
        path = [self.image_key, parent, name]
        names = self.process.get(parent)
        leaf = names.get(name) if names else None
        if names is None:
            spoken = f"parent {parent}" if parent else "a first process"
            return Miss(
                "unknown-path", path, f"{spoken}: never seen starting one", sorted(self.process)[:_USUAL]
            )
        if leaf is None:
            detail = f"process {name}: never seen started by {parent or 'the runtime'}"
            return Miss("unknown-path", path, detail, sorted(names)[:_USUAL])
        exe, form, layer = _command(event)
        novelty = leaf.novelty(exe, form, layer)
        if novelty:
            return Miss("novel-slot", path, novelty.detail, novelty.usual)
        return None if leaf.knows(form) or leaf.is_quiet(form) else Ask(leaf, form, path, key)

    # -- figures ------------------------------------------------------------------------------

    @property
    def unseen(self) -> float:
        """Good–Turing: the chance that the next event is new. Forms that cosine absorbs are not."""
        return estimates.unseen(*self.seen())

    def seen(self) -> tuple[int, int]:
        """Return (observations, habits seen once), as Good and Turing count."""
        if self._seen is None or self.observing:
            self._seen = self._counted()
        return self._seen

    def _counted(self) -> tuple[int, int]:
        counts = [ends for trie in (self.file, self.network) for _, ends in trie.leaves()]
        total, single = sum(counts), counts.count(1)
        for leaf in self.leaves():
            total += sum(leaf.forms.values())
            single += sum(1 for text, count in leaf.forms.items() if count == 1 and text not in leaf.absorbed)
        return total, single

    @property
    def confidence(self) -> float:
        """0 … 1: how sure the profile is that what it does not contain is news."""
        events = self.learning.progress.events
        return round((1 - self.unseen) * events / (events + _YOUNG), 4)


def _command(event: Event) -> tuple[str | None, Form, str | None]:
    """Return the program of an event, the form of its command line, and the program's layer."""
    process = event.process
    if process is None:
        return None, form_of((event.process_name,)), None
    return process.exe, form_of(tuple(process.argv or (event.process_name,))), process.exe_class
