# SPDX-License-Identifier: Apache-2.0
"""A model in this process, by llama.cpp (extra `local`), for machines without any provider.

`model` is the path of a GGUF file. With the small prompt, the default, the answer is decided as
`deciding` says; with the full one the JSON Schema becomes a grammar. Either way the answer always
parses, and a question that was given up ends at its next token.
"""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from jinja2.sandbox import ImmutableSandboxedEnvironment

from habitus.plugins import PluginFault
from habitus_llm_gateway.providers import Completion, Place, Prompt, ProviderFault
from habitus_llm_gateway.providers.deciding import decided

_CHATML: Final = (
    "{% for one in messages %}<|im_start|>{{ one.role }}\n{{ one.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)


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
        threads = {"n_threads": settings.threads, "n_threads_batch": settings.threads}
        try:
            self._model = import_module("llama_cpp").Llama(
                self.place.model, n_ctx=settings.context, **threads, verbose=False
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
        if prompt.style == "full":
            return self._written(prompt, given_up)

        def stopped() -> bool:
            return given_up.is_set() or self._closing.is_set()

        text, tokens_in, tokens_out = decided(self._model, self._opening(prompt), prompt, stopped)
        return Completion(text, Path(self.place.model).stem, tokens_in, tokens_out)

    def _opening(self, prompt: Prompt) -> str:
        """Return the prompt in the form of turns that the model's file names, else in ChatML."""
        template = self._model.metadata.get("tokenizer.chat_template", _CHATML)
        turns = [{"role": role, "content": text} for role, text in prompt.turns]
        written = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(template)
        return written.render(
            messages=[{"role": "system", "content": prompt.system}, *turns],
            add_generation_prompt=True,
            bos_token="",
            eos_token="",
        )

    def _written(self, prompt: Prompt, given_up: threading.Event) -> Completion:
        """Have the model write the whole answer, held to the schema by a grammar."""
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
