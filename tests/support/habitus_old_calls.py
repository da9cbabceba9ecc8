# SPDX-License-Identifier: Apache-2.0
"""Programs of 64 bits that make 32-bit system calls, without a C library."""

import shutil
import subprocess
from pathlib import Path

_BEFORE = r"""
static int call5(int number, const void *a, long b, long c, long d, long e)
{
    int result;

    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
                     : "memory", "r8", "r9", "r10", "r11");
    return result;
}

static int call(int number, const void *a, long b, long c)
{
    return call5(number, a, b, c, 0, 0);
}

void _start(void)
{
    int failed = 0;
"""
_AFTER = """
    call(1, (void *)(long)failed, 0, 0); /* exit */
}
"""


def built(folder: Path, body: str) -> Path:
    """Build a program of statements that use `call` and `call5`; it exits with what `failed` is then."""
    compiler = shutil.which("clang-19") or shutil.which("clang") or shutil.which("gcc")
    assert compiler, "no compiler: apt-get install clang-19"
    (folder / "old.c").write_text(_BEFORE + body + _AFTER)
    flags = ["-nostdlib", "-static", "-no-pie", "-fno-pie", "-O1", "-fno-stack-protector"]
    subprocess.run([compiler, *flags, "-o", folder / "old", folder / "old.c"], check=True)
    return folder / "old"
