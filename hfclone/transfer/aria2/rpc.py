"""aria2's JSON-RPC: calls over HTTP, one at a time or many in one request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any  # JSON values

from hfclone.errors import HfcloneError
from hfclone.http import Web
from hfclone.names import Token
from hfclone.transfer.carrier import Lost
from hfclone.wording import phrase

__all__ = ["Call", "Refused", "Rpc"]


@dataclass(frozen=True, slots=True)
class Call:
    """A method of aria2's, without its prefix, and what it is given."""

    method: str
    params: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """What aria2 says to a call that it does not carry out."""

    reason: str


class Rpc:
    """One aria2, at ``url``. The secret is in the body of each request and nowhere else. Not thread-safe."""

    def __init__(self, web: Web, url: str, secret: Token | None) -> None:
        self._web = web
        self._url = url
        self._secret = secret

    def call(self, method: str, *params: Any) -> Any:
        """Call one method.

        Raises:
            Lost: no answer, or a no.
        """
        (result,) = self.many([Call(method, params)])
        if isinstance(result, Refused):
            raise Lost(result.reason)
        return result

    def many(self, calls: Sequence[Call]) -> list[Any]:
        """What came of each call, in order: its result, or ``Refused``. Raises Lost where nothing came."""
        listed = [{"methodName": f"aria2.{call.method}", "params": self._params(call)} for call in calls]
        answer = self._post({"jsonrpc": "2.0", "id": "1", "method": "system.multicall", "params": [listed]})
        rows = answer.get("result") if isinstance(answer, dict) else None
        if not isinstance(rows, list) or len(rows) != len(calls):
            raise Lost(_reason(answer))
        return [row[0] if isinstance(row, list) and row else Refused(_reason(row)) for row in rows]

    def _params(self, call: Call) -> list[Any]:
        secret = [f"token:{self._secret.reveal()}"] if self._secret else []
        return [*secret, *call.params]

    def _post(self, request: dict[str, Any]) -> Any:
        def ask() -> Any:
            with self._web.ask(
                self._url,
                label="aria2c",
                method="POST",
                headers={"Content-Type": "application/json"},
                body=json.dumps(request).encode(),
            ) as answer:
                return answer.json()

        try:
            return self._web.exchange("aria2c", ask)
        except HfcloneError as error:
            raise Lost(str(error)) from error


def _reason(answer: Any) -> str:
    """What aria2 says went wrong; it may say anything."""
    if isinstance(answer, dict):
        error = answer.get("error", answer)
        if isinstance(error, dict) and isinstance(error.get("message"), str):
            return str(error["message"])[:200]
    return phrase("not-as-aria2")
