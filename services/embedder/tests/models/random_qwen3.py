# SPDX-License-Identifier: Apache-2.0
"""Qwen3 models with random weights, and what transformers answers for them. Needs PyTorch.

`python random_qwen3.py fixture FOLDER` writes what the ordinary tests read;
`python random_qwen3.py real-size FOLDER` a model with the configuration of Qwen3-Embedding-0.6B.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

END = "<|endoftext|>"
SHARED = {"tie_word_embeddings": True, "eos_token_id": 0}
TINY = Qwen3Config(
    vocab_size=264,
    hidden_size=64,
    intermediate_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    max_position_embeddings=48,
    # As random weights are small, so would be the influence of neighbours and of the place.
    initializer_range=0.3,
    **SHARED,
)
REAL_SIZE = Qwen3Config(
    vocab_size=151_669,
    hidden_size=1024,
    intermediate_size=3072,
    num_hidden_layers=28,
    num_attention_heads=16,
    num_key_value_heads=8,
    head_dim=128,
    max_position_embeddings=32_768,
    rope_theta=1_000_000,
    **SHARED,
)
TEXTS = [
    "java -jar /app/<path> --ts=<timestamp>",
    "x",
    "",
    "nginx -g daemon off;",
    "高危 ünïcode",
    "psql -h db.shop.svc -U app -d orders -f /app/sql/<path> and a tail beyond what the model reads",
]
TASK = "Tell whether two command lines do the same"


def make(folder: Path, config: Qwen3Config, *, appends: bool) -> Path:
    """Write model and tokenizer; `appends`: the tokenizer itself puts the end token behind a text."""
    torch.manual_seed(1)
    Qwen3Model(config).eval().save_pretrained(folder, safe_serialization=True, max_shard_size="10GB")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    specials = [END, "<|im_start|>", "<|im_end|>"]
    size = min(config.vocab_size, 264)
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=specials, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(["java -jar /app"], trainer)
    if appends:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"$A {END}", special_tokens=[(END, 0)]
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=END, eos_token="<|im_end|>", padding_side="left"
    )
    fast.save_pretrained(folder)
    return folder


def answers(folder: Path, texts: list[str], side: str = "left") -> dict[str, torch.Tensor]:
    """Return transformers' vectors of one batch, pooled three ways, the way the model's page does it."""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side=side)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    most = model.config.max_position_embeddings
    batch = tokenizer(texts, add_special_tokens=False, truncation=True, max_length=most - 1)
    end = tokenizer.convert_tokens_to_ids(END)
    ids = [[*one, end] for one in batch["input_ids"]]
    padded = tokenizer.pad({"input_ids": ids}, padding=True, return_tensors="pt")
    mask = padded["attention_mask"]
    places = (mask.cumsum(dim=1) - 1).clamp(min=0)
    with torch.no_grad():
        hidden = model(**padded, position_ids=places).last_hidden_state
    rows = torch.arange(len(texts))
    first = mask.argmax(dim=1)
    last = mask.shape[1] - 1 - mask.flip(1).argmax(dim=1)
    mean = (hidden * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
    pooled = {"last": hidden[rows, last], "cls": hidden[rows, first], "mean": mean}
    return {how: torch.nn.functional.normalize(rows, dim=1) for how, rows in pooled.items()}


def fixture(data: Path) -> None:
    """Write `tiny-qwen3` and `tiny_qwen3.json` below `data`."""
    with tempfile.TemporaryDirectory() as scratch:
        source = make(Path(scratch) / "tiny-qwen3", TINY, appends=False)
        shutil.rmtree(data / "tiny-qwen3", ignore_errors=True)
        export(source, data / "tiny-qwen3")
        instructed = [f"Instruct: {TASK}\nQuery:{text}" for text in TEXTS]
        kept = {
            "texts": TEXTS,
            "task": TASK,
            **{how: found.tolist() for how, found in answers(source, TEXTS).items()},
            "right": answers(source, TEXTS, "right")["last"].tolist(),
            "instructed": answers(source, instructed)["last"].tolist(),
        }
    (data / "tiny_qwen3.json").write_text(json.dumps(kept, ensure_ascii=False) + "\n")


def export(source: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the export as a person does."""
    command = [sys.executable, "-m", "habitus_embedder.export", str(source), "--out", str(out), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    kind, folder = sys.argv[1], Path(sys.argv[2])
    if kind == "fixture":
        fixture(folder)
    else:
        make(folder, REAL_SIZE, appends=True)
