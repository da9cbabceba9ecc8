# SPDX-License-Identifier: Apache-2.0
"""Whose address is it? Filled by discovery; asked for the other end of every flow."""

from ipaddress import IPv4Address, IPv6Address, ip_address

from habitus.events import Peer


class Addresses:
    """Addresses of this node's containers (and of whatever else discovery knows).

    An address that several containers of one Pod share names the Pod alone; one that strangers
    share, as those of a host-network Pod do with the node, is for the caller to leave out.
    """

    def __init__(self) -> None:
        self._by_ip: dict[str, dict[str, Peer]] = {}
        self._by_id: dict[str, list[str]] = {}

    def set(self, container_id: str, peer: Peer, ips: list[str]) -> None:
        """Say which addresses a container has; replaces what was said before.

        What is no address is left out, and so is loopback: it is everybody's.
        """
        self.forget(container_id)
        own = sorted({text for text in map(_normal, ips) if text})
        for ip in own:
            self._by_ip.setdefault(ip, {})[container_id] = peer
        if own:
            self._by_id[container_id] = own

    def forget(self, container_id: str) -> None:
        """Drop a container's addresses; one that is unknown is no fault."""
        for ip in self._by_id.pop(container_id, ()):
            owners = self._by_ip[ip]
            del owners[container_id]
            if not owners:
                del self._by_ip[ip]

    def peer_of(self, ip: str) -> Peer | None:
        """Return who has this address, or None: unknown, or several that have nothing in common."""
        found = self._by_ip.get(ip) or self._by_ip.get(_normal(ip) or "") or {}
        owners = list(found.values())
        if len(owners) <= 1:
            return owners[0] if owners else None
        pod = owners[0].pod
        if pod is not None and all(owner.pod == pod for owner in owners):
            return Peer(pod=pod)
        return None


def _normal(text: str) -> str | None:
    """Return an address as events spell it, or None."""
    try:
        address: IPv4Address | IPv6Address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return None if address.is_loopback or address.is_unspecified else str(address)
