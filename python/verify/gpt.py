"""nanoGPT's forward pass in NumPy, in float64.

Pre-LayerNorm blocks on learned position embeddings: `x ← x + attn(LN(x))`, `x ← x + mlp(LN(x))`, LayerNorm with epsilon 1e-5,
one projection for queries, keys and values, `softmax(q·k / √(embd / heads))` over the keys up to the query, exact GELU
(by the error function).
"""

import numpy as np
from scipy.special import erf


class Gpt:
    def __init__(self, tensors, config):
        self.tensors = tensors
        self.layers, self.heads, self.block = config["n_layer"], config["n_head"], config["block_size"]

    def attention(self, tokens, last_row=False):
        """Yields, layer by layer, the attention rows [text, head, query, key] of texts of equal length and the L2 norms
        [text, head, query] of what each head adds to the residual stream. With `last_row`, only of the last query."""
        tokens = np.atleast_2d(tokens)
        length = tokens.shape[1]
        x = self.tensors["transformer.wte.weight"][tokens] + self.tensors["transformer.wpe.weight"][:length]
        for layer in range(self.layers):
            block, last = f"transformer.h.{layer}", layer + 1 == self.layers
            first = length - 1 if last and last_row else 0
            weights, values = self.rows(block, x, first)
            added = np.einsum("bhqk,bhkd->bhqd", weights, values, optimize=True)
            norms = self.norms(block, added)
            yield (weights[:, :, -1:], norms[:, :, -1:]) if last_row else (weights, norms)
            if not last:
                x = self.residual(block, x, added)

    def logits(self, tokens):
        """The logits [text, position, symbol] of texts of equal length."""
        embedding = self.tensors["transformer.wte.weight"]
        x = embedding[tokens] + self.tensors["transformer.wpe.weight"][: tokens.shape[1]]
        for layer in range(self.layers):
            block = f"transformer.h.{layer}"
            weights, values = self.rows(block, x, 0)
            x = self.residual(block, x, weights @ values)
        return self.layer_norm("transformer.ln_f", x) @ embedding.T

    def residual(self, block, x, added):
        """The residual stream after a block, from what its heads added [text, head, query, dimension]."""
        joined = added.transpose(0, 2, 1, 3).reshape(x.shape)
        x = x + self.linear(f"{block}.attn.c_proj", joined)
        hidden = self.linear(f"{block}.mlp.c_fc", self.layer_norm(f"{block}.ln_2", x))
        return x + self.linear(f"{block}.mlp.c_proj", hidden * 0.5 * (1 + erf(hidden / np.sqrt(2))))

    def rows(self, block, x, first):
        """The attention rows of the queries from `first` on, and the values of all keys."""
        texts, length, embd = x.shape
        projected = self.linear(f"{block}.attn.c_attn", self.layer_norm(f"{block}.ln_1", x))
        heads = projected.reshape(texts, length, 3, self.heads, embd // self.heads).transpose(2, 0, 3, 1, 4)
        queries, keys, values = heads
        scores = queries[:, :, first:] @ keys.transpose(0, 1, 3, 2) / np.sqrt(embd // self.heads)
        future = np.arange(length)[None, :] > np.arange(first, length)[:, None]
        scores = np.where(future, -np.inf, scores)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return weights / weights.sum(axis=-1, keepdims=True), values

    def norms(self, block, added):
        """‖(Σ_j A[i,j] v_j) W_O^h‖₂, where `W_O^h` is the head's slice of the output projection. Its bias belongs to no
        head."""
        projection = self.tensors[f"{block}.attn.c_proj.weight"]
        slices = projection.reshape(len(projection), self.heads, -1)
        return np.stack(
            [np.linalg.norm(added[:, head] @ slices[:, head].T, axis=-1) for head in range(self.heads)], axis=1
        )

    def linear(self, name, x):
        y = x @ self.tensors[f"{name}.weight"].T
        bias = self.tensors.get(f"{name}.bias")
        return y if bias is None else y + bias

    def layer_norm(self, name, x):
        centered = x - x.mean(axis=-1, keepdims=True)
        scaled = centered / np.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-5)
        y = scaled * self.tensors[f"{name}.weight"]
        bias = self.tensors.get(f"{name}.bias")
        return y if bias is None else y + bias
