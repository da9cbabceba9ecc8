# SPDX-License-Identifier: Apache-2.0
"""A model in this process, by llama.cpp (extra `local`), for machines without any provider.

`model` is the path of a GGUF file. The JSON Schema becomes a grammar, so the answer always parses.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

from habitus.plugins import PluginFault
from habitus_llm_gateway.providers import Completion, Place, Prompt, ProviderFault


class LocalProvider:
    """One model, one question at a time."""

    def __init__(self, place: Place) -> None:
        if not Path(place.model).is_file():
            raise PluginFault(f"provider {place.name!r}: model {place.model}: no such file")
        # At once, so that a missing extra stops the start.
        self._library: Any = import_module("llama_cpp")
        self.place = place
        self._model: Any = None
        self._thread = ThreadPoolExecutor(1, "llama")

    def prepare(self) -> None:
        """Load nothing yet: the first question does, in the model's own thread."""

    async def complete(self, prompt: Prompt) -> Completion:
        """Return the model's text; questions wait for each other."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._completed, prompt)

    async def close(self) -> None:
        """End the thread once its question is done."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _completed(self, prompt: Prompt) -> Completion:
        settings = self.place.settings
        try:
            if self._model is None:
                self._model = self._library.Llama(
                    self.place.model, n_ctx=settings.context, n_threads=settings.threads, verbose=False
                )
            turns = [{"role": role, "content": text} for role, text in prompt.turns]
            answer = self._model.create_chat_completion(
                [{"role": "system", "content": prompt.system}, *turns],
                max_tokens=prompt.max_tokens,
                temperature=0,
                response_format={"type": "json_object", "schema": dict(prompt.schema)},
            )
        except ValueError as error:
            too_long = "context window" in str(error)
            why = "longer than the model's context" if too_long else "the model cannot be used"
            raise ProviderFault("refused the question" if too_long else "no such model", why) from None
        if answer["choices"][0]["finish_reason"] == "length":
            raise ProviderFault("truncated", "the answer reached llm.max_tokens")
        usage = answer["usage"]
        text = answer["choices"][0]["message"]["content"]
        return Completion(
            text, Path(self.place.model).stem, usage["prompt_tokens"], usage["completion_tokens"]
        )
