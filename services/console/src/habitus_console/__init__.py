# SPDX-License-Identifier: Apache-2.0
"""The habitus command: starts the stack, replays, shows alerts and profiles."""
