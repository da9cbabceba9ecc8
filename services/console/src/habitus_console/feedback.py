# SPDX-License-Identifier: Apache-2.0
"""What people say of an alert, told to the profile of its image: benign, and that taken back."""

from habitus.alerts import Alert
from habitus.bus import Bus
from habitus.images import image_key
from habitus.profiles import ProfileReply
from habitus_console import profiles


def image_of(alert: Alert) -> str:
    """Return the key of the profile that the alert departs from."""
    return image_key(alert.where.image, alert.where.image_digest)


async def absorb(bus: Bus, alert: Alert, who: str, why: str) -> ProfileReply:
    """Have the profile know every behaviour that the alert lists; the reply holds the mark.

    Raises:
        ProfilesFault: the profiler is away (ProfilesAway) or refuses; the text says why.
    """
    image = image_of(alert)
    mine = [record for record in alert.events if _is_of(record, image)]
    return await profiles.change(bus, "absorb", image, who=who, why=why, alert=alert.id, events=mine)


async def take_back(bus: Bus, alert: Alert, who: str, why: str) -> list[str]:
    """Undo every mark of the alert that holds, and return their ids; a profile that is gone has none.

    Raises:
        ProfilesFault: the profiler is away (ProfilesAway) or refuses; the text says why.
    """
    image = image_of(alert)
    known = await profiles.summary(bus, image)
    marks = known.notes.marks if known else []
    holding = [mark.id for mark in marks if mark.alert == alert.id and not mark.undone_when]
    for mark in holding:
        await undo(bus, alert, mark, who, why)
    return holding


async def undo(bus: Bus, alert: Alert, mark: str, who: str, why: str) -> None:
    """Undo one mark of the alert.

    Raises:
        ProfilesFault: as above.
    """
    await profiles.change(bus, "undo", image_of(alert), who=who, why=why, mark=mark)


def _is_of(record: dict[str, object], image: str) -> bool:
    container = record.get("container")
    if not isinstance(container, dict):
        return False
    return image_key(str(container.get("image") or ""), container.get("image_digest")) == image
