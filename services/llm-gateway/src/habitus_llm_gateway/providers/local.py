# SPDX-License-Identifier: Apache-2.0
"""A model in this process, by llama.cpp (extra `local`), for machines without any provider.

`model` is the path of a GGUF file. The JSON Schema becomes a grammar, so the answer always parses.
The answer is read piece by piece, so that a question that was given up ends there and then.
"""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from habitus.plugins import PluginFault
from habitus_llm_gateway.providers import Completion, Place, Prompt, ProviderFault


class LocalProvider:
    """One model, one question at a time."""

    def __init__(self, place: Place) -> None:
        if not Path(place.model).is_file():
            raise PluginFault(f"provider {place.name!r}: model {place.model}: no such file")
        if find_spec("llama_cpp") is None:
            raise PluginFault(
                f"provider {place.name!r} needs llama-cpp-python: pip install 'habitus-llm-gateway[local]'"
            )
        self.place = place
        self._model: Any = None
        self._thread = ThreadPoolExecutor(1, "llama")
        self._closing = threading.Event()

    def prepare(self) -> None:
        """Import the library and load the model: seconds, and as much memory as the file is long.

        Raises:
            PluginFault: the file is no model that llama.cpp can use.
        """
        settings = self.place.settings
        try:
            self._model = import_module("llama_cpp").Llama(
                self.place.model, n_ctx=settings.context, n_threads=settings.threads, verbose=False
            )
        except (ValueError, OSError, RuntimeError) as error:
            raise PluginFault(
                f"model {self.place.model} cannot be loaded ({type(error).__name__}): is it a whole GGUF?"
            ) from None

    async def complete(self, prompt: Prompt) -> Completion:
        """Return the model's text; questions wait for each other."""
        given_up = threading.Event()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._completed, prompt, given_up)
        except asyncio.CancelledError:
            given_up.set()
            raise

    async def close(self) -> None:
        """End the thread; a question in hand ends at its next piece."""
        self._closing.set()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _completed(self, prompt: Prompt, given_up: threading.Event) -> Completion:
        turns = [{"role": role, "content": text} for role, text in prompt.turns]
        pieces = self._model.create_chat_completion(
            [{"role": "system", "content": prompt.system}, *turns],
            max_tokens=prompt.max_tokens,
            temperature=0,
            response_format={"type": "json_object", "schema": dict(prompt.schema)},
            stream=True,
        )
        said: list[str] = []
        finish = None
        try:
            for piece in pieces:
                if given_up.is_set() or self._closing.is_set():
                    raise ProviderFault("too slow", "given up")
                said += [piece["choices"][0]["delta"].get("content") or ""]
                finish = piece["choices"][0]["finish_reason"]
        except ValueError as error:
            if "context window" not in str(error):
                raise
            raise ProviderFault("refused the question", "longer than the model's context") from None
        if finish == "length":
            raise ProviderFault("truncated", "the answer reached llm.max_tokens")
        tokens_out = sum(map(bool, said))
        tokens_in = max(int(self._model.n_tokens) - tokens_out, 0)
        return Completion("".join(said), Path(self.place.model).stem, tokens_in, tokens_out)
