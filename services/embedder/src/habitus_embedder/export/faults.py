# SPDX-License-Identifier: Apache-2.0
"""Why no model folder was made."""


class ExportFault(RuntimeError):
    """One line that says what to do."""
