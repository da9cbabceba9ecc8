# SPDX-License-Identifier: Apache-2.0
"""Which recent anomalies are of one kind, and over how many replicas of a workload they are spread."""
