# SPDX-License-Identifier: Apache-2.0
"""Who may ask: whoever holds the bearer token. Alerts quote command lines, so reading needs it too."""

import secrets
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

_SCHEME = HTTPBearer(
    auto_error=False, description="`console.token`; `habitus up` makes one and writes it to stack.json"
)


def holder_of(token: str) -> Callable[..., None]:
    """Return a dependency that answers 401 to whoever does not hold `token`."""
    expected = token.encode()

    def check(given: Annotated[HTTPAuthorizationCredentials | None, Depends(_SCHEME)]) -> None:
        if given is None or not secrets.compare_digest(given.credentials.encode(), expected):
            raise HTTPException(
                401, "the bearer token is missing or wrong; see console.token", {"WWW-Authenticate": "Bearer"}
            )

    return check
