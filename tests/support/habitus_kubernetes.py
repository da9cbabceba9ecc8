# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' own schema for the policies that are exported or suggested, as models made from its OpenAPI."""

from collections.abc import Mapping
from typing import Any

from cloudcoil.models.kubernetes.networking.v1 import NetworkPolicy


def read_as_networkpolicy(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Kubernetes would keep of a NetworkPolicy: `document` itself, unless a key is not its own.

    Raises:
        pydantic.ValidationError: a field is missing, or of the wrong type.
    """
    return NetworkPolicy.model_validate(document).model_dump(mode="json", by_alias=True, exclude_none=True)
