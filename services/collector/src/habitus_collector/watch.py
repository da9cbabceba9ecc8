# SPDX-License-Identifier: Apache-2.0
"""Which containers are watched, and the events that wait for their container's name.

Pure bookkeeping: the kernel's maps and the runtimes are reached through what the caller hands in.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from habitus.events import Container, Event, Peer, Pod
from habitus.images import image_key
from habitus.targets import Targets
from habitus_collector.cgroups import Levels, Place, place_of
from habitus_collector.discovery import Identity
from habitus_collector.profile_numbers import NONE, Profiles

HELD_LIMIT: Final = 5000
"""Events that wait for one name at most; what comes beyond is counted as lost."""
ROOT: Final = 1
"""Id of the root of every cgroup v2 tree."""


class Kernel(Protocol):
    """The maps by which the kernel sorts events."""

    def target(self, cgroup: int, root: int, profile: int = 0, epoch: int = 0) -> None:
        """Send the events of `cgroup`, which belongs to the container whose own cgroup is `root`.

        `epoch`: how often it was chosen anew; what was told in another one counts as never told.
        """

    def ignore(self, cgroup: int) -> None:
        """Send no event of `cgroup`."""

    def forget(self, cgroup: int) -> None:
        """Treat `cgroup` as never seen: it is announced when something happens in it."""


class Listener(Protocol):
    """Who must know of containers that come, go, or are watched from the middle of their lives."""

    def arrived(self, place: Place) -> None:
        """A container is there, and its name is not known yet: call `Watch.name` when it is."""

    def late(self, place: Place) -> None:
        """Events of this container count from now on, and processes of it may run already."""

    def gone(self, place: Place) -> None:
        """The last cgroup of this container is gone."""


@dataclass(eq=False)
class Watched:
    """One container.

    Attributes:
        identity, container: None until it is named; `container` then goes into every event.
        chosen: the target set wants its events; true as long as nobody can tell.
        epoch: how often it was chosen after it had not been.
        profile, key: number and image key of its image's profile.
        folder: path of its own cgroup from the root of the tree, as the last scan found it.
    """

    place: Place
    identity: Identity | None = None
    container: Container | None = None
    chosen: bool = True
    epoch: int = 0
    profile: int = NONE
    key: str = ""
    folder: str = ""
    cgroups: set[int] = field(default_factory=set)
    held: list[Event] = field(default_factory=list)

    def as_peer(self) -> Peer:
        """Return the container as the other end of a flow; while it has no name, by its id."""
        if self.container is None:
            return Peer(container=self.place.id)
        return Peer(self.container.name or self.container.id, self.container.image, self.container.pod)


def unresolved(place: Place) -> Container:
    """Return what is known of a container that no runtime names."""
    pod = Pod(uid=place.pod_uid) if place.pod_uid else None
    if place.name:
        return Container(id=place.id, name=place.name, image=f"{place.runtime}:{place.name}")
    return Container(id=place.id, image=f"unresolved:{place.id[:12]}", pod=pod)


class Watch:
    """Sorts cgroups, holds events until their container is named, and publishes them in order."""

    def __init__(
        self,
        kernel: Kernel,
        publish: Callable[[Event], None],
        listener: Listener,
        *,
        profiles: Profiles | None = None,
        targets: Targets | None = None,
    ) -> None:
        self._kernel = kernel
        self._publish = publish
        self._listener = listener
        self._profiles = profiles or Profiles()
        self._targets = targets or Targets()
        self._by_cgroup: dict[int, Watched] = {}
        self._by_id: dict[str, Watched] = {}
        self._ignored: set[int] = set()
        self._sandboxes: dict[str, int] = {}
        self._absent: set[int] = set()
        self._strays: dict[int, list[Event]] = {}
        self._late: set[int] = set()
        self.lost: Counter[str] = Counter()

    @property
    def containers(self) -> int:
        """Containers watched now."""
        return sum(watched.chosen for watched in self._by_id.values())

    def running(self) -> Iterator[Watched]:
        """Yield the containers that are named, watched, and found in the tree."""
        return (each for each in self._by_id.values() if each.chosen and each.identity and each.folder)

    def identity_of(self, container_id: str) -> Identity | None:
        """Return what a container is known as, or None: not here, or not named yet."""
        watched = self._by_id.get(container_id)
        return watched.identity if watched else None

    def images(self) -> set[str]:
        """Return the keys of the images of the containers that are named and watched."""
        named = (watched.container for watched in self._by_id.values() if watched.chosen)
        return {image_key(each.image, each.image_digest) for each in named if each and each.image}

    def announce(self, cgroup: int, levels: Levels) -> None:
        """Learn where a cgroup lies: a container's events are wanted, the host's are not."""
        self._sort(cgroup, levels)

    def of(self, cgroup: int) -> Watched | None:
        """Return the container that a cgroup belongs to, or None."""
        return self._by_cgroup.get(cgroup)

    def take(self, cgroup: int, event: Event) -> None:
        """Publish an event, or hold it until its container is named."""
        watched = self._by_cgroup.get(cgroup)
        if watched is not None:
            self._deliver(watched, event)
        elif cgroup in self._ignored:
            self._kernel.ignore(cgroup)  # sent before the kernel knew
        else:
            # Two CPUs, or two rings: the announcement may come just after the first event.
            self._hold(self._strays.setdefault(cgroup, []), event)

    def name(self, container_id: str, identity: Identity) -> bool:
        """Give a container its name and let go of what waited for it, in order.

        Returns:
            Whether it is watched: what waited of one that is not chosen is dropped.
        """
        watched = self._by_id.get(container_id)
        if watched is None:
            return False
        watched.identity, watched.container = identity, identity.container
        self._choose(watched, identity, self._number(watched, identity.container))
        held, watched.held = watched.held, []
        for event in held:
            self._deliver(watched, event)
        return watched.chosen

    def select(self, targets: Targets) -> None:
        """Put another target set in force, for what runs and for what comes."""
        self._targets = targets
        for watched in list(self._by_id.values()):
            if watched.identity:
                self._choose(watched, watched.identity, watched.profile)

    def dismiss(self, container_id: str) -> None:
        """Stop watching: it is a Pod's sandbox, which runs nothing of the image."""
        watched = self._by_id.pop(container_id, None)
        if watched is None:
            return
        self._release(watched)
        self._sandboxes[container_id] = watched.place.cgroup
        for cgroup in watched.cgroups:
            del self._by_cgroup[cgroup]
            self._ignore(cgroup)

    def compare(self, tree: Iterable[Levels]) -> None:
        """Take in a scan of the cgroup tree: what is new, and what is gone for good."""
        present = set()
        for levels in tree:
            cgroup = levels[-1][0] if levels else ROOT
            present.add(cgroup)
            if self._sort(cgroup, levels):
                self._listener.late(self._by_cgroup[cgroup].place)
            watched = self._by_cgroup.get(cgroup)
            if watched and watched.place.cgroup == cgroup:
                watched.folder = "/".join(name for _, name in levels)
        self._drop_strays()
        for cgroup in self._ignored - present:
            self._kernel.forget(cgroup)
        self._ignored &= present
        self._sandboxes = {name: cgroup for name, cgroup in self._sandboxes.items() if cgroup in present}
        absent = self._by_cgroup.keys() - present
        for cgroup in absent & self._absent:  # missing twice: gone, and its last events have come
            self._remove(cgroup)
        self._absent = absent - self._absent

    def _sort(self, cgroup: int, levels: Levels) -> bool:
        """Sort a cgroup in; return whether a container came with it."""
        if cgroup in self._by_cgroup or cgroup in self._ignored:
            return False
        place = place_of(levels)
        if place is None or place.id in self._sandboxes:
            self._ignore(cgroup)
            return False
        watched = self._by_id.get(place.id)
        new = watched is None
        if watched is None:
            watched = self._by_id[place.id] = Watched(place)
            self._listener.arrived(place)
        watched.cgroups.add(cgroup)
        self._by_cgroup[cgroup] = watched
        self._tell(watched, cgroup)
        for event in self._strays.pop(cgroup, ()):
            self._deliver(watched, event)
        return new

    def _deliver(self, watched: Watched, event: Event) -> None:
        if watched.container is None:
            self._hold(watched.held, event)
        elif watched.chosen:
            event.container = watched.container
            self._publish(event)

    def _hold(self, held: list[Event], event: Event) -> None:
        if len(held) < HELD_LIMIT:
            held.append(event)
        else:
            self.lost[event.class_] += 1

    def _choose(self, watched: Watched, identity: Identity, profile: int) -> None:
        chosen = self._targets.choose(identity.container, identity.labels)
        before = watched.chosen
        watched.epoch += chosen and not before  # what it told meanwhile was dropped
        if (watched.profile, before) != (profile, chosen):
            watched.profile, watched.chosen = profile, chosen
            for cgroup in watched.cgroups:
                self._tell(watched, cgroup)
        if chosen and not before:
            self._listener.late(watched.place)

    def _tell(self, watched: Watched, cgroup: int) -> None:
        if watched.chosen:
            self._kernel.target(cgroup, watched.place.cgroup, watched.profile, watched.epoch)
        else:
            self._kernel.ignore(cgroup)

    def _number(self, watched: Watched, container: Container) -> int:
        key = image_key(container.image or "", container.image_digest)
        if key != watched.key:
            self._release(watched)
            watched.key = key
        return self._profiles.number_of(key) if key else NONE

    def _release(self, watched: Watched) -> None:
        key, watched.key = watched.key, ""
        if key and not any(other.key == key for other in self._by_id.values()):
            self._profiles.release(key)

    def _ignore(self, cgroup: int) -> None:
        self._ignored.add(cgroup)
        self._kernel.ignore(cgroup)
        self._strays.pop(cgroup, None)

    def _remove(self, cgroup: int) -> None:
        watched = self._by_cgroup.pop(cgroup)
        watched.cgroups.discard(cgroup)
        self._kernel.forget(cgroup)
        if not watched.cgroups:
            del self._by_id[watched.place.id]
            self._release(watched)
            self._listener.gone(watched.place)

    def _drop_strays(self) -> None:
        # Twice here: their announcement was lost, and nobody can say whose they were. Ask for another.
        for cgroup in self._late & self._strays.keys():
            self.lost.update(event.class_ for event in self._strays.pop(cgroup))
            self._kernel.forget(cgroup)
        self._late = set(self._strays)
