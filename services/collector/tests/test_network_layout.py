# SPDX-License-Identifier: Apache-2.0
"""The network sensor's records have the layout that its object declares in its BTF."""

import pytest

from habitus_btf import btf_of, offsets
from habitus_collector import network_records
from habitus_collector.records import HEAD

FLOW_FIELDS = ("address", "port", "local_port", "op", "protocol", "reserved")
DNS_FIELDS = ("address", "port", "local_port", "length", "way")


@pytest.fixture(scope="module")
def btf():
    return btf_of("network.bpf.o")


def test_a_flow(btf):
    size, members = btf.layout("flow_record")
    flow_size, flow_members = btf.layout("flow")

    here = offsets(network_records.FLOW, (*FLOW_FIELDS, "repeats"))
    assert members == {"head": 0, "flow": HEAD.size, "repeats": HEAD.size + here.pop("repeats")}
    assert flow_members == here
    assert (size, flow_size) == (HEAD.size + network_records.FLOW.size, network_records.FLOW.size - 8)


def test_a_message(btf):
    size, members = btf.layout("dns_record")

    start = HEAD.size + network_records.DNS.size
    assert members == {"head": 0, **offsets(network_records.DNS, DNS_FIELDS, HEAD.size), "data": start}
    assert size == start + 1232


@pytest.mark.parametrize(
    ("name", "prefix", "here"),
    [
        ("network_kind", "RECORD_", network_records.Kind),
        ("flow_op", "FLOW_", network_records.Op),
        ("dns_way", "DNS_", network_records.Way),
    ],
)
def test_the_numbers(btf, name, prefix, here):
    _, values = btf.layout(name)

    assert values == {f"{prefix}{member.name}": member.value for member in here}
