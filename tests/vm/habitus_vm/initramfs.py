# SPDX-License-Identifier: Apache-2.0
"""The initramfs: busybox, the modules that reach the host's files, and guest/init.sh."""

import lzma
import shutil
import subprocess
from pathlib import Path
from typing import Final

from habitus_vm.kernels import Kernel, KernelFault

GUEST: Final = Path(__file__).with_name("guest")
_MODULES: Final = ("virtio_pci", "virtiofs", "overlay")
_BUSYBOX: Final = (Path("/bin/busybox"), Path("/usr/bin/busybox"))


def build(kernel: Kernel, scratch: Path) -> Path:
    """Write the initramfs of a kernel into `scratch` and return it.

    Raises:
        KernelFault: a tool or a module is missing.
    """
    tree = scratch / "initramfs"
    (tree / "bin").mkdir(parents=True)
    (tree / "modules").mkdir()
    busybox = next((path for path in _BUSYBOX if path.is_file()), None)
    if busybox is None:
        raise KernelFault("busybox is missing: deploy/setup/bootstrap.sh vm")
    shutil.copy(busybox, tree / "bin" / "busybox")
    (tree / "bin" / "sh").symlink_to("busybox")
    shutil.copy(GUEST / "init.sh", tree / "init")
    (tree / "init").chmod(0o755)
    order = [_unpacked(path, tree / "modules") for path in _needed(kernel)]
    (tree / "modules" / "order").write_text("".join(f"{name}\n" for name in order))
    return _packed(tree, scratch / "initramfs.cpio")


def _needed(kernel: Kernel) -> list[Path]:
    """Return the module files, each after those that it needs; what is built in has none."""
    found: dict[Path, None] = {}
    for module in _MODULES:
        command = ["modprobe", "-d", str(kernel.root), "-S", kernel.release, "--show-depends", module]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise KernelFault(f"kernel {kernel.release} has no module {module}")
        for line in done.stdout.splitlines():
            if line.startswith("insmod "):
                found[Path(line.split()[1])] = None
    return list(found)


def _unpacked(module: Path, folder: Path) -> str:
    if module.suffix != ".xz":
        shutil.copy(module, folder / module.name)
        return module.name
    (folder / module.stem).write_bytes(lzma.decompress(module.read_bytes()))
    return module.stem


def _packed(tree: Path, target: Path) -> Path:
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    with target.open("wb") as out:
        command = ["cpio", "--create", "--format=newc", "--quiet", "--owner=0:0"]
        subprocess.run(command, cwd=tree, input=names.encode(), stdout=out, check=True)
    return target
