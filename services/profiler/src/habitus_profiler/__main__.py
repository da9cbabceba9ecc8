# SPDX-License-Identifier: Apache-2.0
"""Starts the profiler: `python -m habitus_profiler [--settings FILE]`."""

from habitus.service import serve
from habitus_profiler.service import ABOUT, run

if __name__ == "__main__":
    serve("profiler", ABOUT, run)
