# SPDX-License-Identifier: Apache-2.0
"""The mining story on real containers: a private containerd, one Pod, ordinary work, two attacks."""
