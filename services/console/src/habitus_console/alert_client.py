# SPDX-License-Identifier: Apache-2.0
"""Asks the alert store over its HTTP API, for the `habitus alerts` commands."""

import http.client
import json
import urllib.error
import urllib.request
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ValidationError

from habitus_console.state import Api
from habitus_console.store.records import Page, Record
from habitus_console.store.states import Act

_PATIENCE_S: Final = 45
"""Longer than the store waits for a profiler."""
_MOST: Final = 64 << 20
_NAMED: Final = 5
M = TypeVar("M", bound=BaseModel)


class StoreFault(RuntimeError):
    """The alert store refuses; the text says why, in one line."""


class StoreAway(StoreFault):
    """The alert store does not answer."""


class AlertClient:
    """One alert store. Sends its token to that address alone: no proxy, no redirect."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)

    def page(self, **wanted: Any) -> Page:
        """Return alerts; the keywords are the parameters of `GET /v1/alerts`.

        Raises:
            StoreFault: it refuses, or does not answer (StoreAway).
        """
        given = {name: value for name, value in wanted.items() if value not in (None, [], "")}
        return self._ask(Page, f"?{urlencode(given, doseq=True)}")

    def one(self, alert_id: str) -> Record:
        """Return one alert with its history.

        Raises:
            StoreFault: there is none, or the store does not answer (StoreAway).
        """
        return self._ask(Record, f"/{quote(alert_id, safe='')}")

    def decide(self, alert_id: str, act: Act, who: str, why: str) -> Record:
        """Have the store do what a person decided, and return the alert as it then stands.

        Raises:
            StoreFault: it refuses, or does not answer (StoreAway).
        """
        return self._ask(Record, f"/{quote(alert_id, safe='')}/{act}", {"who": who, "why": why})

    def id_of(self, beginning: str) -> str:
        """Return the one id that begins so.

        Raises:
            StoreFault: none does, or several do.
        """
        if not beginning:
            raise StoreFault("an empty id names no alert; see `habitus alerts`")
        ids = [entry.id for entry in self.page(id=beginning, limit=_NAMED + 1).alerts]
        if beginning in ids:
            return beginning
        if not ids:
            raise StoreFault(f"no alert {beginning}; see `habitus alerts`")
        if len(ids) > 1:
            more = ", …" if len(ids) > _NAMED else ""
            raise StoreFault(f"{beginning} is not one alert but several: {', '.join(ids[:_NAMED])}{more}")
        return ids[0]

    def _ask(self, kind: type[M], path: str, body: dict[str, str] | None = None) -> M:
        request = urllib.request.Request(  # noqa: S310 - http or https: the setting is checked
            f"{self._api.url}/v1/alerts{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._api.token}", "Content-Type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=_PATIENCE_S) as answer:
                return kind.model_validate_json(answer.read(_MOST))
        except urllib.error.HTTPError as error:
            with error:
                raise StoreFault(_detail(error)) from None
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "reason", None) or error
            raise StoreAway(f"the alert store does not answer at {self._api.url}: {why}") from None
        except ValidationError as error:
            raise StoreFault(
                f"the alert store answers in another language: {error.error_count()} faults"
            ) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_request: object) -> None:
        """Follow nobody elsewhere: the fault shows the status."""


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        detail = json.loads(error.read(_MOST))["detail"]
        # Faults of the input come as a list, each with a line of its own.
        return str(detail if isinstance(detail, str) else detail[0]["msg"])
    except (ValueError, LookupError, TypeError, OSError):
        return f"the alert store answers with status {error.code}"
