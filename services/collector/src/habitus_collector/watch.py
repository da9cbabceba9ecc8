# SPDX-License-Identifier: Apache-2.0
"""Which containers are watched, and the events that wait for their container's name.

Pure bookkeeping: the kernel's maps and the runtimes are reached through what the caller hands in.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from habitus.events import Container, Event, Pod
from habitus.images import image_key
from habitus_collector.cgroups import Levels, Place, place_of

HELD_LIMIT: Final = 5000
"""Events that wait for one name at most; what comes beyond is counted as lost."""
ROOT: Final = 1
"""Id of the root of every cgroup v2 tree."""


class Kernel(Protocol):
    """The maps by which the kernel sorts events."""

    def target(self, cgroup: int, root: int, profile: int = 0) -> None:
        """Send the events of `cgroup`, which belongs to the container whose own cgroup is `root`."""

    def ignore(self, cgroup: int) -> None:
        """Send no event of `cgroup`."""

    def forget(self, cgroup: int) -> None:
        """Treat `cgroup` as never seen: it is announced when something happens in it."""


@dataclass(eq=False)
class Watched:
    """One container. `container` is None until it is named, and then goes into every event."""

    place: Place
    container: Container | None = None
    cgroups: set[int] = field(default_factory=set)
    held: list[Event] = field(default_factory=list)


def unresolved(place: Place) -> Container:
    """Return what is known of a container that no runtime names."""
    pod = Pod(uid=place.pod_uid) if place.pod_uid else None
    return Container(id=place.id, image=f"unresolved:{place.id[:12]}", pod=pod)


class Watch:
    """Sorts cgroups, holds events until their container is named, and publishes them in order."""

    def __init__(
        self, kernel: Kernel, publish: Callable[[Event], None], arrived: Callable[[Place], None]
    ) -> None:
        self._kernel = kernel
        self._publish = publish
        self._arrived = arrived
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
        return len(self._by_id)

    def images(self) -> set[str]:
        """Return the keys of the images of the containers that are named."""
        named = (watched.container for watched in self._by_id.values())
        return {image_key(each.image, each.image_digest) for each in named if each and each.image}

    def announce(self, cgroup: int, levels: Levels) -> None:
        """Learn where a cgroup lies: a container's events are wanted, the host's are not."""
        if cgroup in self._by_cgroup or cgroup in self._ignored:
            return
        place = place_of(levels)
        if place is None or place.id in self._sandboxes:
            self._ignore(cgroup)
            return
        watched = self._by_id.get(place.id)
        if watched is None:
            watched = self._by_id[place.id] = Watched(place)
            self._arrived(place)
        watched.cgroups.add(cgroup)
        self._by_cgroup[cgroup] = watched
        self._kernel.target(cgroup, watched.place.cgroup)
        for event in self._strays.pop(cgroup, ()):
            self._deliver(watched, event)

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

    def name(self, container_id: str, container: Container) -> None:
        """Give a container its name and let go of what waited for it, in order."""
        watched = self._by_id.get(container_id)
        if watched is None:
            return
        watched.container = container
        held, watched.held = watched.held, []
        for event in held:
            self._deliver(watched, event)

    def dismiss(self, container_id: str) -> None:
        """Stop watching: it is a Pod's sandbox, which runs nothing of the image."""
        watched = self._by_id.pop(container_id, None)
        if watched is None:
            return
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
            self.announce(cgroup, levels)
        self._drop_strays()
        for cgroup in self._ignored - present:
            self._kernel.forget(cgroup)
        self._ignored &= present
        self._sandboxes = {name: cgroup for name, cgroup in self._sandboxes.items() if cgroup in present}
        absent = self._by_cgroup.keys() - present
        for cgroup in absent & self._absent:  # missing twice: gone, and its last events have come
            self._remove(cgroup)
        self._absent = absent - self._absent

    def _deliver(self, watched: Watched, event: Event) -> None:
        if watched.container is None:
            self._hold(watched.held, event)
            return
        event.container = watched.container
        self._publish(event)

    def _hold(self, held: list[Event], event: Event) -> None:
        if len(held) < HELD_LIMIT:
            held.append(event)
        else:
            self.lost[event.class_] += 1

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

    def _drop_strays(self) -> None:
        # Twice here: their announcement was lost, and nobody can say whose they were. Ask for another.
        for cgroup in self._late & self._strays.keys():
            self.lost.update(event.class_ for event in self._strays.pop(cgroup))
            self._kernel.forget(cgroup)
        self._late = set(self._strays)
