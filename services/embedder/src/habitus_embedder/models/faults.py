# SPDX-License-Identifier: Apache-2.0
"""Why a model cannot be served; said once, at the start."""

from habitus.plugins import PluginFault
from habitus.text import printable


class ModelFault(PluginFault):
    """A model folder, file or setting that cannot be used: one line that says what to do."""

    def __init__(self, text: str) -> None:
        # Names of files and of a graph's inputs are whatever their maker wrote.
        super().__init__(printable(text, 500))
