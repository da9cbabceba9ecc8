# SPDX-License-Identifier: Apache-2.0
"""Where alerts go beside the bus: one module a kind, each an entry point of `habitus.sinks`."""
