"""The baseline: nanoGPT's model in PyTorch, as its users run it on a CPU.

Written from nanoGPT's architecture: pre-LayerNorm blocks, a fused query-key-value projection, PyTorch's fused causal
attention, exact GELU, learned positions, the output head tied to the token embedding, no biases; and its optimizer, AdamW
over two groups after clipping the global norm. Modules have nanoGPT's names, so that its checkpoints load. Generation is nanoGPT's, without a KV cache: every character takes a forward
pass over the last block_size characters.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class GPTConfig:
    n_layer: int
    n_head: int
    n_embd: int
    block_size: int
    dropout: float = 0.0
    vocab_size: int = 65
    bias: bool = False


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x):
        batch, time, embd = x.shape
        heads = self.config.n_head
        parts = self.c_attn(x).split(embd, dim=2)
        q, k, v = (part.view(batch, time, heads, embd // heads).transpose(1, 2) for part in parts)
        rate = self.config.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=rate, is_causal=True)
        return self.dropout(self.c_proj(mixed.transpose(1, 2).reshape(batch, time, embd)))


class MLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd, bias=config.bias)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd, bias=config.bias)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x):
        return self.dropout(self.c_proj(F.gelu(self.c_fc(x))))


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, bias=config.bias)
        self.attn = Attention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd, bias=config.bias)
        self.mlp = MLP(config)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(config.vocab_size, config.n_embd),
                "wpe": nn.Embedding(config.block_size, config.n_embd),
                "drop": nn.Dropout(config.dropout),
                "h": nn.ModuleList(Block(config) for _ in range(config.n_layer)),
                "ln_f": nn.LayerNorm(config.n_embd, bias=config.bias),
            }
        )
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.lm_head.weight = self.transformer.wte.weight
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                residual = name.endswith("c_proj.weight")
                nn.init.normal_(weight, std=0.02 / (2 * config.n_layer) ** 0.5 if residual else 0.02)

    def hidden(self, tokens):
        """What the blocks make of tokens [batch, time]: [batch, time, embd]."""
        x = self.transformer.wte(tokens) + self.transformer.wpe.weight[: tokens.shape[1]]
        x = self.transformer.drop(x)
        for block in self.transformer.h:
            x = block(x)
        return x

    def forward(self, tokens):
        """Logits [batch, time, vocab] of tokens [batch, time]."""
        return self.lm_head(self.transformer.ln_f(self.hidden(tokens)))

    @torch.no_grad()
    def generate(self, tokens, length, temperature=0.8, top_k=200):
        """Generates `length` tokens after tokens [batch, time]."""
        for _ in range(length):
            # As in nanoGPT, the output head is applied only to the last position.
            context = tokens[:, -self.config.block_size :]
            logits = self.lm_head(self.transformer.ln_f(self.hidden(context)[:, -1])) / temperature
            likeliest = torch.topk(logits, min(top_k, self.config.vocab_size)).values
            logits[logits < likeliest[:, [-1]]] = -torch.inf
            drawn = torch.multinomial(torch.softmax(logits, dim=1), 1)
            tokens = torch.cat([tokens, drawn], dim=1)
        return tokens


class Trainer:
    """Trains one model, in `float32`, `bf16` (autocast) or `compile` (torch.compile, float32)."""

    def __init__(self, config, mode, learning_rate=1e-3):
        self.model = GPT(config).train()
        self.loss = torch.compile(self.loss_of) if mode == "compile" else self.loss_of
        self.bf16 = mode == "bf16"
        weights = list(self.model.parameters())
        groups = [
            {"params": [weight for weight in weights if weight.dim() == 2], "weight_decay": 0.1},
            {"params": [weight for weight in weights if weight.dim() < 2], "weight_decay": 0.0},
        ]
        # The fused kernel is PyTorch's fastest on a processor.
        self.optimizer = torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.99), fused=True)

    def loss_of(self, inputs, targets):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            logits = self.model(inputs)
            return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def step(self, inputs, targets):
        """Does one optimizer step; returns the loss before it."""
        loss = self.loss(inputs, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item()
