# SPDX-License-Identifier: Apache-2.0
"""Models, one file each: every one implements `habitus.embedding.EmbeddingModel` and is a plugin."""
