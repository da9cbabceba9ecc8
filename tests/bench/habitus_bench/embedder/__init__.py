# SPDX-License-Identifier: Apache-2.0
"""What the embedder adds to a bare ONNX Runtime session, how it scales, and a peer beside it."""
