# SPDX-License-Identifier: Apache-2.0
"""The HTTP API: an application of routers, one module for each thing that is asked about."""
