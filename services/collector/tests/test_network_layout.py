# SPDX-License-Identifier: Apache-2.0
"""The network sensor's records have the layout that its object declares in its BTF."""

import pytest

from habitus_btf import btf_of, offsets
from habitus_collector import name_table, network_records
from habitus_collector.records import HEAD

FLOW_FIELDS = ("address", "local", "port", "local_port", "op", "protocol", "began", "outcome")
TOTALS_FIELDS = ("sent", "received", "duration")
DNS_FIELDS = ("name", "address", "port", "protocol", "length", "way")


@pytest.fixture(scope="module")
def btf():
    return btf_of("network.bpf.o")


def test_a_flow(btf):
    size, members = btf.layout("flow_record")
    flow_size, flow_members = btf.layout("flow")
    _, totals_members = btf.layout("totals")

    here = offsets(network_records.FLOW, (*FLOW_FIELDS, "repeats", "name", "peer", *TOTALS_FIELDS))
    after = {name: here[name] + HEAD.size for name in ("repeats", "name", "peer")}
    assert members == {"head": 0, "flow": HEAD.size, **after, "totals": HEAD.size + here["sent"]}
    assert flow_members == {name: here[name] for name in FLOW_FIELDS}
    assert totals_members == {name: here[name] - here["sent"] for name in TOTALS_FIELDS}
    assert (size, flow_size) == (HEAD.size + network_records.FLOW.size, here["repeats"])


def test_a_message(btf):
    size, members = btf.layout("dns_record")

    start = HEAD.size + network_records.DNS.size
    assert members == {"head": 0, **offsets(network_records.DNS, DNS_FIELDS, HEAD.size), "data": start}
    assert size == start + 1232


def test_a_connect_to_a_unix_socket(btf):
    size, members = btf.layout("unix_record")

    fields = ("repeats", "walked_length", "walked_flags", "told_length", "reserved")
    start = HEAD.size + network_records.UNIX.size
    assert members == {"head": 0, **offsets(network_records.UNIX, fields, HEAD.size), "data": start}
    assert size == start + network_records.TOLD_BYTES + 4096


def test_the_table_of_names(btf):
    _, key = btf.layout("name_key")
    _, value = btf.layout("name")

    assert key == offsets(name_table.KEY, ("root", "address"))
    assert value == offsets(name_table.VALUE, ("number", "seen"))


@pytest.mark.parametrize(
    ("name", "prefix", "here"),
    [
        ("network_kind", "RECORD_", network_records.Kind),
        ("flow_op", "FLOW_", network_records.Op),
        ("flow_outcome", "OUTCOME_", network_records.Outcome),
        ("dns_way", "DNS_", network_records.Way),
    ],
)
def test_the_numbers(btf, name, prefix, here):
    _, values = btf.layout(name)

    assert values == {f"{prefix}{member.name}": member.value for member in here}
