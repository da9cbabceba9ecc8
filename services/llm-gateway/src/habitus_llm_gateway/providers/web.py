# SPDX-License-Identifier: Apache-2.0
"""HTTP to a provider: a pool of connections, whom TLS trusts, the proxies of the environment."""

import asyncio
import os
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

if TYPE_CHECKING:
    import aiohttp

_LONGEST: Final = 4 << 20
"""Bytes of an answer: a server that never ends must not fill the memory."""


class TooLong(ValueError):
    """An answer has no end, or none that we wait for."""


class Web:
    """Posts to one address. `prepare` imports what is heavy; the connections open with the first question."""

    def __init__(self) -> None:
        self._tls: ssl.SSLContext | None = None
        self._session: aiohttp.ClientSession | None = None
        self._proxies: dict[str, str | None] = {}

    def prepare(self) -> None:
        """Import the library and read the certificates: both take a while."""
        import aiohttp  # noqa: F401, PLC0415  # 20 MB: only who asks pays

        self._tls = _trusting()

    def post(
        self, address: str, body: bytes, headers: dict[str, str]
    ) -> "aiohttp.client._RequestContextManager":
        """Return the request, to be entered.

        No time limit: whoever asks has one. No redirect is followed: the key is for this address alone.
        """
        session = self._session or self._opened()
        return session.post(
            address, data=body, headers=headers, proxy=self._proxy(address), allow_redirects=False
        )

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)  # the transports close with the loop's next turn
            self._session = None

    def _opened(self) -> "aiohttp.ClientSession":
        import aiohttp  # noqa: PLC0415

        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls or _trusting())
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
            headers={"User-Agent": "habitus-llm-gateway"},
        )
        return self._session

    def _proxy(self, address: str) -> str | None:
        # Not by the library's `trust_env`, which also looks into .netrc, in a thread, for every question.
        if address not in self._proxies:
            parts = urlsplit(address)
            away = bool(parts.hostname and proxy_bypass(parts.hostname))
            self._proxies[address] = None if away else getproxies().get(parts.scheme)
        return self._proxies[address]


async def whole(answer: "aiohttp.ClientResponse") -> bytes:
    """Return the body of an answer.

    Raises:
        TooLong: it has more than 4 MiB.
    """
    parts: list[bytes] = []
    left = _LONGEST
    async for part in answer.content.iter_any():
        parts.append(part)
        left -= len(part)
        if left < 0:
            raise TooLong
    return b"".join(parts)


def _trusting() -> ssl.SSLContext:
    """Return TLS with the authorities of SSL_CERT_FILE or SSL_CERT_DIR, else the system's and certifi's.

    A slim image has no authorities of its own, and a company's stand in the system's store alone.
    """
    import certifi  # noqa: PLC0415

    context = ssl.create_default_context()
    if not any(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")):
        context.load_verify_locations(certifi.where())
    return context
