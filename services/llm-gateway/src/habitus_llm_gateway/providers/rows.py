# SPDX-License-Identifier: Apache-2.0
"""What is known of each kind of provider, as rows of data. What speaks OpenAI's wire is only a row.

Addresses and variables are those that the vendors' own documentation names.
"""

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True)
class Row:
    """One kind.

    Attributes:
        base_url: where it is when the settings name no address; None: the client library knows.
        key_env: the variable that holds its key.
        model: what is asked when the settings name none.
        structured: the strictest way in which it takes a JSON answer. `schema`: a JSON Schema binds
            it; `object`: any JSON object; `none`: only the prompt asks.
        tokens: the name of the parameter that limits the answer's tokens.
        prompt: which of our prompts it is asked by; `small`: examples, few lines, a short answer.
    """

    base_url: str | None = None
    key_env: str | None = None
    needs_key: bool = False
    model: str | None = None
    structured: Literal["schema", "object", "none"] = "schema"
    tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    prompt: Literal["full", "small"] = "full"


ROWS: Final[dict[str, Row]] = {
    "openai": Row(
        "https://api.openai.com/v1", "OPENAI_API_KEY", needs_key=True, tokens="max_completion_tokens"
    ),
    "vllm": Row("http://127.0.0.1:8000/v1", "VLLM_API_KEY"),
    "ollama": Row("http://127.0.0.1:11434/v1"),
    "llama-server": Row("http://127.0.0.1:8080/v1", "LLAMA_API_KEY", model="default"),
    "deepseek": Row(
        "https://api.deepseek.com",
        "DEEPSEEK_API_KEY",
        needs_key=True,
        model="deepseek-chat",
        structured="object",
    ),
    "dashscope": Row(
        "https://dashscope.aliyuncs.com/compatible-mode/v1",
        "DASHSCOPE_API_KEY",
        needs_key=True,
        model="qwen-plus",
        structured="object",
    ),
    "azure-openai": Row(None, "AZURE_OPENAI_API_KEY", needs_key=True, tokens="max_completion_tokens"),
    "anthropic": Row(None, "ANTHROPIC_API_KEY", needs_key=True),
    "gemini": Row(None, "GEMINI_API_KEY", needs_key=True),
    "local": Row(prompt="small"),
    "fake": Row(model="no-model"),
}
