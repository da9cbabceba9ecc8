# SPDX-License-Identifier: Apache-2.0
"""Posts bodies to one address. The address may itself be a secret: no text of ours ever holds it."""

import email.utils
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import httpx
from pydantic import Field, model_validator

from habitus import __version__
from habitus.keys import read_key
from habitus.plugins import PluginFault
from habitus.sections import Section
from habitus.sinks import SinkFault, SinkServices
from habitus.text import printable

RETRIED: Final = frozenset({408, 425, 429})
_PATIENT: Final = frozenset({429, 503})
_LONGEST_WAIT_S: Final = 3600.0
_CONNECT_S: Final = 10.0
_ANSWER: Final = 2048
_SAID: Final = 120


class HttpSettings(Section):
    """Where to post, and as whom. Exactly one of `url`, `url_file` and `url_env` is given."""

    url: str | None = Field(default=None, description="address, http:// or https://")
    url_file: Path | None = Field(default=None, description="file that holds the address")
    url_env: str | None = Field(default=None, description="environment variable that holds it")
    headers: dict[str, str] = Field(default={}, description="further headers")
    token_file: Path | None = Field(default=None, description="file with a token: Authorization: Bearer")
    token_env: str | None = Field(default=None, description="environment variable with that token")
    ca_file: Path | None = Field(default=None, description="PEM of the authorities to trust")
    cert_file: Path | None = Field(default=None, description="PEM of our own certificate and its key")

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if [self.url, self.url_file, self.url_env].count(None) != 2:  # noqa: PLR2004 - of three, one
            raise ValueError("give exactly one of url, url_file and url_env")
        return self


class Poster:
    """One receiver over HTTP. Redirects are not followed: they may lead anywhere.

    The proxies of the environment (HTTPS_PROXY, NO_PROXY) hold.
    """

    def __init__(self, services: SinkServices, settings: HttpSettings, path: str = "") -> None:
        """`path` is added to the address.

        Raises:
            PluginFault: the address, a key file or a certificate cannot be used.
        """
        whose = f"setting scorer.sink.{services.name}"
        self._url = _address(whose, settings, path)
        token = read_key(f"{whose}.token_file", settings.token_file, settings.token_env)
        if token is None and settings.token_env:
            raise PluginFault(f"{whose}.token_env: environment variable {settings.token_env} is not set")
        headers = {"User-Agent": f"habitus/{__version__}", **settings.headers}
        if token is not None:
            headers["Authorization"] = f"Bearer {token.get_secret_value()}"
        try:
            self._client = httpx.AsyncClient(
                headers=headers, verify=_tls(whose, settings), timeout=httpx.Timeout(None, connect=_CONNECT_S)
            )
        except (UnicodeEncodeError, ValueError, TypeError):
            raise PluginFault(f"{whose}.headers: a name or value that HTTP cannot carry") from None

    async def post(
        self, body: bytes, headers: Mapping[str, str], content_type: str = "application/json"
    ) -> None:
        """Post one body.

        Raises:
            SinkFault: no answer, or one that is not 2xx; what it says is told, the address is not.
        """
        given = {"Content-Type": content_type, **headers}
        try:
            async with self._client.stream("POST", self._url, content=body, headers=given) as answer:
                if not answer.is_success:
                    raise _refused(answer, await _beginning(answer), str(self._url))
        except httpx.TimeoutException:
            raise SinkFault("no answer in time") from None
        except (httpx.HTTPError, OSError) as error:
            # The library's own text may hold the address. A receiver that refuses our certificate after the
            # handshake (TLS 1.3) shows as the bare ssl.SSLError.
            raise SinkFault(f"cannot be reached: {_reason(error)}") from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _address(whose: str, settings: HttpSettings, path: str) -> httpx.URL:
    text = settings.url
    if text is None:
        secret = read_key(f"{whose}.url_file", settings.url_file, settings.url_env)
        if secret is None:
            raise PluginFault(f"{whose}.url_env: environment variable {settings.url_env} is not set")
        text = secret.get_secret_value()
    try:
        url = httpx.URL(text)
        usable = url.scheme in {"http", "https"} and bool(url.host)
    except (httpx.InvalidURL, ValueError, UnicodeError):
        usable = False
    if not usable:
        raise PluginFault(f"{whose}: its address is none of http:// or https://")
    return url.copy_with(path=url.path.rstrip("/") + path) if path else url


def _tls(whose: str, settings: HttpSettings) -> ssl.SSLContext:
    return tls_context(whose, settings.ca_file, settings.cert_file)


def tls_context(whose: str, ca_file: Path | None, cert_file: Path | None) -> ssl.SSLContext:
    """Return a context that checks the server: by `ca_file`, else by the system's authorities.

    Raises:
        PluginFault: a file cannot be read or is no PEM.
    """
    key, file = "ca_file", ca_file
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        if cert_file:
            key, file = "cert_file", cert_file
            context.load_cert_chain(str(cert_file))
    except (OSError, ssl.SSLError) as error:
        why = error.strerror if error.strerror and not isinstance(error, ssl.SSLError) else "no PEM for this"
        raise PluginFault(f"{whose}.{key} {file}: {why}") from None
    return context


async def _beginning(answer: httpx.Response) -> str:
    read = b""
    async for piece in answer.aiter_raw():
        read += piece
        if len(read) >= _ANSWER:
            break
    return read[:_ANSWER].decode("utf-8", "replace").strip()


def _refused(answer: httpx.Response, said: str, url: str) -> SinkFault:
    status = answer.status_code
    path = httpx.URL(url).raw_path.decode().strip("/")
    # A receiver may repeat the address that it was asked for.
    quoted = "" if not said or (path and path in said) else f": {printable(said, _SAID)}"
    if answer.has_redirect_location:
        return SinkFault(f"answered {status}: redirects are not followed", lasting=True)
    lasting = status < 500 and status not in RETRIED  # noqa: PLR2004 - from 500 on it is the server's fault
    wait = retry_after(answer.headers.get("Retry-After", "")) if status in _PATIENT else None
    return SinkFault(f"answered {status}{quoted}", lasting=lasting, retry_after_s=wait)


def retry_after(text: str) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110, 10.2.3), an hour at most."""
    if text.isascii() and text.strip().isdigit():
        return min(float(text), _LONGEST_WAIT_S)
    try:
        moment = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(moment - time.time(), 0.0), _LONGEST_WAIT_S)


def _reason(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate does not hold: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, ssl.SSLError):
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
