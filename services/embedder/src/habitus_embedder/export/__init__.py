# SPDX-License-Identifier: Apache-2.0
"""Makes model folders: weights in, an ONNX graph with tokenizer, configuration and checksums out."""
