# SPDX-License-Identifier: Apache-2.0
"""A container that did something, and what of it is made known to the kernel as the collector does it."""

import asyncio
import os
import sys
import time
from itertools import count

PROFILE = 7
PYTHON = os.path.realpath(sys.executable).encode()


class Known:
    """One container whose image has a profile, and what it did since the last look."""

    def __init__(self, recorder, container):
        self.recorder = recorder
        self.sensors = recorder.loader._sensors
        self.container = container
        self.generations = count(1)
        self.at = 0
        self.announced = False

    def run(self, code, **options):
        _, status = self.container.run([PYTHON, b"-ISc", code.encode()], **options)
        assert status == 0

    async def did(self, code, under, **options):
        """Run Python in the container; return (op, path, new path, flags) of what was sent of it."""
        self.at = len(self.recorder.events)
        self.run(code, **options)
        await self._settled()
        return [
            (event.op, event.file.path, event.file.new_path, event.file.flags)
            for event in self._new()
            if str(under) in f"{event.file.path} {event.file.new_path}"
        ]

    async def learn(self, code, under, **options):
        """Run it once, and make all that it did known by a revision that comes into force then."""
        cgroup = self.container.folder.stat().st_ino
        self.run("pass")
        await self._settled()
        self.sensors.target(cgroup, cgroup, PROFILE)
        self.sensors.revise(PROFILE, next(self.generations))
        did = await self.did(code, under, **options)
        self.know()
        return did

    def know(self):
        """Make what was last done known, by a new revision."""
        revision = next(self.generations)
        for event in self._new():
            if event.token:
                self.sensors.know(event.token, revision)
        self.sensors.revise(PROFILE, revision)

    def _new(self):
        own = [e for e in self.recorder.events[self.at :] if e.container.id == self.container.id]
        return [event for event in own if event.class_ == "file"]

    async def _settled(self):
        before, deadline = -1, time.monotonic() + 5
        while before != len(self.recorder.events) and time.monotonic() < deadline:
            before = len(self.recorder.events)
            await asyncio.sleep(0.15)
