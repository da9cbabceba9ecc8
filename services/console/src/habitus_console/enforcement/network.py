# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes NetworkPolicy of the peers and ports that a profile knows.

A NetworkPolicy knows address ranges and ports, no names: a peer known by name opens its port to every
address. A direction that was never seen is left open.
"""

import ipaddress
from collections import defaultdict
from typing import Any, Final

from habitus_console.enforcement import habits
from habitus_console.enforcement.habits import Flow, Policy, PolicyFault, Target

_PROTOCOLS: Final = {"tcp": "TCP", "udp": "UDP", "sctp": "SCTP"}
_DNS: Final = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
_HIGH: Final = "<high>"
_HIGH_PORTS: Final = (32768, 65535)
_LOCAL: Final = frozenset({"loopback", "any"})


def policy(document: dict[str, Any], target: Target) -> Policy:
    """Return the policy.

    Raises:
        PolicyFault: the profile still learns or saw no network, or `target` has no labels.
    """
    habits.settled(document)
    flows = [flow for flow in habits.flows(document) if flow.protocol in {*_PROTOCOLS, "dns"}]
    if not flows:
        raise PolicyFault("no network habits were seen: a policy from nothing would cut everything off")
    remarks = ["it is for whole Pods: what their other containers need must be added"]
    spec: dict[str, Any] = {"podSelector": {"matchLabels": target.labels}, "policyTypes": []}
    for way, rules in (("egress", _egress), ("ingress", _ingress)):
        seen = [flow for flow in flows if flow.way == way]
        if seen:
            spec["policyTypes"].append(way.capitalize())
            spec[way] = rules(seen, remarks)
        else:
            remarks.append(f"{way} was never seen and is left open")
    return Policy(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": habits.metadata(target),
            "spec": spec,
        },
        remarks,
    )


def _egress(flows: list[Flow], remarks: list[str]) -> list[dict[str, Any]]:
    ports: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    loose = set()
    for flow in flows:
        if flow.protocol == "dns" or flow.peer in _LOCAL:
            continue
        cidr = _cidr(flow.peer)
        if cidr is None:
            loose.add(f"{flow.peer} {flow.port}")
        ports[cidr or ""].add((flow.protocol, flow.port))
    if loose:
        remarks.append(f"open to every address, because known by name only: {', '.join(sorted(loose))}")
    rules: list[dict[str, Any]] = [{"ports": _DNS}]
    for cidr, seen in sorted(ports.items()):
        rule: dict[str, Any] = {"to": [{"ipBlock": {"cidr": cidr}}]} if cidr else {}
        if all(port != "-" for _, port in seen):
            rule["ports"] = [_port(*each) for each in sorted(seen)]
        rules.append(rule)
    return rules


def _ingress(flows: list[Flow], remarks: list[str]) -> list[dict[str, Any]]:
    remarks.append("who may connect is not restricted: a profile knows a server's callers by class only")
    seen = {(flow.protocol, flow.port) for flow in flows if flow.protocol != "dns"}
    if not seen or any(port == "-" for _, port in seen):
        return [{}]
    return [{"ports": [_port(*each) for each in sorted(seen)]}]


def _port(protocol: str, port: str) -> dict[str, Any]:
    first, last = _HIGH_PORTS
    if port == _HIGH:
        return {"protocol": _PROTOCOLS[protocol], "port": first, "endPort": last}
    return {"protocol": _PROTOCOLS[protocol], "port": int(port)}


def _cidr(peer: str) -> str | None:
    try:
        return str(ipaddress.ip_network(peer, strict=False))
    except ValueError:
        return None
