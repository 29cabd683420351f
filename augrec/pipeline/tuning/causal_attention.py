"""Causal attention with gradients for one processor core: the products of torch, block by block, weights kept.

torch's fused kernel spares memory by computing the weights again for the gradients, in small tiles; in bfloat16 that
takes a quarter of a training step of a model of 135 million parameters. Instructions are short, so that the weights can
be kept: at L tokens L * L / 2 numbers a head and layer. Queries are taken in blocks, each with the keys up to its end,
so that half of the products are never computed; the heads that share a key (grouped queries) are rows of one product.

    S = s Q K' + mask      P = softmax(S)      O = P V
    dV = P' dO             dS = P * (dO V' - rowsum(dO * O))        dQ = s dS K        dK = s dS' Q

Vaswani et al. 2017; the gradient of the softmax as in Dao et al. 2022, equation 4 of appendix B.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch

NAME = "augrec_causal"
"""What transformers knows it by."""
BLOCK = 128
"""Queries of a block."""
LONGEST = 1024
"""Tokens up to which the weights are kept: 9 MB a layer with nine heads in bfloat16. Longer ones are torch's."""


class CausalAttention(torch.autograd.Function):
    """See above, for (batch, heads, tokens, width) and keys and values of (batch, key heads, tokens, width)."""

    @staticmethod
    def forward(ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float) -> Any:
        """O, of the shape of the queries."""
        batch, heads, tokens, width = query.shape
        groups = batch * key.shape[1]
        q = (query * scale).reshape(groups, -1, tokens, width)
        k, v = (each.reshape(groups, tokens, width) for each in (key, value))
        out, kept = torch.empty_like(q), []
        for begin, end in _blocks(tokens):
            scores = torch.bmm(_rows(q, begin, end), k[:, :end].mT).unflatten(1, (-1, end - begin))
            later = torch.ones(end - begin, end - begin, dtype=torch.bool, device=q.device).triu_(1)
            scores[..., begin:].masked_fill_(later, float("-inf"))
            weights = scores.softmax(-1).to(q.dtype).flatten(1, 2)
            out[:, :, begin:end] = torch.bmm(weights, v[:, :end]).unflatten(1, (-1, end - begin))
            kept.append(weights)
        ctx.save_for_backward(q, k, v, out, *kept)
        ctx.scale, ctx.shapes = scale, (query.shape, key.shape)
        return out.view(batch, heads, tokens, width)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        """The gradients of queries, keys and values."""
        q, k, v, out, *kept = ctx.saved_tensors
        of_queries, of_keys = ctx.shapes
        given = gradients[0].reshape(q.shape)
        mean = (given.float() * out.float()).sum(-1, keepdim=True).to(q.dtype)
        dq = torch.empty_like(q)
        dk, dv = (torch.zeros_like(k, dtype=torch.float32) for _ in range(2))  # sums over blocks
        for weights, (begin, end) in zip(kept, _blocks(q.shape[2]), strict=True):
            rows, back = _rows(q, begin, end), _rows(given, begin, end)
            ds = torch.bmm(back, v[:, :end].mT).sub_(_rows(mean, begin, end)).mul_(weights)
            dq[:, :, begin:end] = torch.bmm(ds, k[:, :end]).unflatten(1, (-1, end - begin))
            dk[:, :end] += torch.bmm(ds.mT, rows)
            dv[:, :end] += torch.bmm(weights.mT, back)
        return dq.mul_(ctx.scale).view(of_queries), dk.to(k.dtype).view(of_keys), dv.to(v.dtype).view(of_keys), None


def _blocks(tokens: int) -> list[tuple[int, int]]:
    return list(pairwise([*range(0, tokens, BLOCK), tokens]))


def _rows(each: torch.Tensor, begin: int, end: int) -> torch.Tensor:
    """The queries of a block: those of all heads that share a key, one below the other."""
    return each[:, :, begin:end].flatten(1, 2)


def attend(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: Any, **options: Any
) -> tuple[torch.Tensor, None]:
    """Attention as transformers calls it, (batch, tokens, heads, width); all that is not plainly causal is torch's.

    Args:
        module: the layer.
        query: of shape (batch, heads, tokens, width).
        key: of shape (batch, key heads, tokens, width).
        value: as key.
        attention_mask: None where nothing is hidden but what comes later.
        options: `scaling`, `dropout` and what else transformers passes.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    plain = (
        attention_mask is None
        and getattr(module, "is_causal", False)
        and options.get("is_causal") is not False
        and not options.get("dropout")
        and query.shape[2] == key.shape[2] <= LONGEST
        and key.shape == value.shape
        and query.shape[3] == key.shape[3]
    )
    if not plain:
        found: tuple[torch.Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        return found
    if torch.is_autocast_enabled("cpu"):
        query, key, value = (each.to(torch.get_autocast_dtype("cpu")) for each in (query, key, value))
    scale = options.get("scaling")
    out = CausalAttention.apply(query, key, value, query.shape[3] ** -0.5 if scale is None else scale)
    return out.transpose(1, 2).contiguous(), None


def use(model: Any) -> bool:
    """Lets a model of transformers attend that way; whether it does. One with another kernel than torch's keeps it."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    if model.config._attn_implementation != "sdpa":
        return False
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
    return True
