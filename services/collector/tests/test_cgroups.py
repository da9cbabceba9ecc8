# SPDX-License-Identifier: Apache-2.0
"""Which container a cgroup's path belongs to, for every runtime's habit."""

import pytest

from habitus_collector import cgroups

ID = "a1" * 32
OTHER = "b2" * 32
UID = "8a40e7c4-f30c-4509-b18b-2ac06b6d622a"
FLAT = UID.replace("-", "_")


def levels(path):
    return [(100 + depth, name) for depth, name in enumerate(path.strip("/").split("/"))]


@pytest.mark.parametrize(
    ("path", "runtime", "pod_uid"),
    [
        (f"/kubepods/besteffort/pod{UID}/{ID}", "containerd", UID),
        (f"/kubepods/pod{UID}/{ID}", "containerd", UID),
        (
            f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{FLAT}.slice/cri-containerd-{ID}.scope",
            "containerd",
            UID,
        ),
        (f"/kubepods.slice/kubepods-pod{FLAT}.slice/crio-{ID}.scope", "cri-o", UID),
        (f"/kubepods.slice/kubepods-burstable-pod{FLAT}.slice/docker-{ID}.scope", "docker", UID),
        (f"/system.slice/docker-{ID}.scope", "docker", None),
        (f"/docker/{ID}", "docker", None),
        (f"/machine.slice/libpod-{ID}.scope", "podman", None),
        (f"/libpod_parent/libpod-{ID}", "podman", None),
        (f"/k8s.io/{ID}", "unknown", None),
        (f"/kubepods-besteffort-pod{FLAT}.slice:cri-containerd:{ID}", "containerd", UID),
        (f"/system.slice:docker:{ID}", "docker", None),
    ],
)
def test_the_path_alone_names_runtime_container_and_pod(path, runtime, pod_uid):
    place = cgroups.place_of(levels(path))

    assert place == cgroups.Place(ID, runtime, pod_uid, levels(path)[-1][0])


@pytest.mark.parametrize(
    ("path", "runtime", "name"),
    [
        ("/lxc.payload.web-1", "lxc", "web-1"),
        ("/lxc/web-1", "lxc", "web-1"),
        ("/machine.slice/systemd-nspawn@web.service", "systemd-nspawn", "web"),
        (r"/machine.slice/systemd-nspawn@web\x2d1.service", "systemd-nspawn", "web-1"),
    ],
)
def test_a_container_that_has_no_id_is_known_by_its_name(path, runtime, name):
    found = levels(path)
    below = [*found, (999, "payload")]

    assert cgroups.place_of(below) == cgroups.Place(f"{runtime}:{name}", runtime, None, found[-1][0], name)


def test_a_container_inside_of_a_named_one_counts_by_itself():
    assert cgroups.place_of(levels(f"/lxc.payload.web/docker/{ID}")).id == ID


@pytest.mark.parametrize(
    "path",
    [
        "/system.slice/ssh.service",
        "/lxc",
        "/lxc.monitor.web",
        "/lxc.payload.w eb",
        "/user.slice/lxc/web",
        "/machine.slice/machine-qemu.scope",
        "/user.slice/user-0.slice/session-3.scope",
        f"/kubepods/besteffort/pod{UID}",
        f"/system.slice/libpod-conmon-{ID}.scope",
        f"/machine.slice/crio-conmon-{ID}.scope",
        f"/{ID}",
        "/docker/" + "a1" * 31,
    ],
)
def test_the_hosts_own_groups_are_no_containers(path):
    assert cgroups.place_of(levels(path)) is None


def test_the_root_is_no_container():
    assert cgroups.place_of(()) is None


def test_a_group_below_a_container_belongs_to_it():
    path = levels(f"/system.slice/docker-{ID}.scope/init.scope")

    assert cgroups.place_of(path) == cgroups.Place(ID, "docker", None, path[1][0])


def test_of_nested_containers_the_innermost_counts():
    path = levels(f"/docker/{OTHER}/kubelet/kubepods/besteffort/pod{UID}/{ID}")

    assert cgroups.place_of(path).id == ID


def test_the_tree_is_found_where_v1_and_v2_are_mounted_side_by_side(tmp_path):
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(
        "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
        "33 31 0:30 / /sys/fs/cgroup/cpu rw,relatime shared:4 - cgroup cgroup rw,cpu\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n"
    )

    assert str(cgroups.mount_point(mountinfo)) == "/sys/fs/cgroup/unified"


def test_no_tree_is_none_and_no_fault(tmp_path):
    (tmp_path / "mountinfo").write_text("31 23 0:28 / / rw - ext4 /dev/vda rw\n")

    assert cgroups.mount_point(tmp_path / "mountinfo") is None
    assert cgroups.mount_point(tmp_path / "absent") is None


def test_a_walk_gives_each_directory_with_its_inode(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "cgroup.procs").write_text("")

    found = list(cgroups.walk(tmp_path))

    a, b = (tmp_path / "a").stat().st_ino, (tmp_path / "a" / "b").stat().st_ino
    assert found == [(), ((a, "a"),), ((a, "a"), (b, "b"))]
