# SPDX-License-Identifier: Apache-2.0
"""A profile is found by how its image key begins; what changes one asks for the whole key."""

import pytest

from habitus import subjects
from habitus.bus import Bus
from habitus.images import PARTITIONS, partition_of
from habitus.profiles import ProfileReply, ProfileSummary
from habitus_console import profiles
from habitus_console.profiles import ProfilesFault

NGINX = f"docker.io/library/nginx@sha256:{'a' * 64}"
OTHER = f"docker.io/library/nginx@sha256:{'b' * 64}"
KEYS = [NGINX, OTHER, "webapp:v1", "webapp:v1-alpine", "quay.io/etcd:3"]


@pytest.fixture
async def profilers(bus: Bus):
    """Each partition's owner lists its profiles, and knows no others."""

    async def answer(message) -> None:
        operation, partition = message.subject.split(".")[2:4]
        there = [key for key in KEYS if partition_of(key) == int(partition)]
        listed = [
            ProfileSummary(image_key=key, partition=int(partition), state="detect", revision=1)
            for key in there
        ]
        error = "" if operation == "list" else "no profile of that name"
        await message.respond(ProfileReply(summaries=listed, error=error).model_dump_json().encode())

    for partition in range(PARTITIONS):
        for operation in ("list", "lock"):
            await bus.nc.subscribe(subjects.profile(operation, partition), cb=answer)
    await bus.nc.flush()


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        (NGINX, NGINX),
        (f"nginx@sha256:{'a' * 6}", NGINX),
        ("docker.io/library/nginx@sha256:b", OTHER),
        ("webapp:v1", "webapp:v1"),
        ("webapp:v1-", "webapp:v1-alpine"),
        ("etcd", "quay.io/etcd:3"),
    ],
)
async def test_a_beginning_that_is_one_profile_s_alone_is_enough(profilers, bus, asked, key):
    assert await profiles.named(bus, asked) == key


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("nginx", f"nginx is not one profile but several: {NGINX}, {OTHER}"),
        ("none:v1", "no profile of none:v1; see `habitus profile list`"),
        ("", "an empty name names no profile"),
        ("gin", "no profile of gin"),
    ],
)
async def test_what_names_none_or_several_is_said(profilers, bus, asked, said):
    with pytest.raises(ProfilesFault, match=said):
        await profiles.named(bus, asked)


async def test_a_change_takes_no_beginning(profilers, bus):
    """`webapp:v` could be meant for another image than the one that there is."""
    with pytest.raises(ProfilesFault, match="webapp:v: no profile of that name"):
        await profiles.change(bus, "lock", "webapp:v")
