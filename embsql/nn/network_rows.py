"""Sequence networks as rows: layers that SQL evaluates, in as few kinds as it can."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from embsql.data import Clock, Interactions, Network, NetworkKind, NetworkLayer
from embsql.features.time import clock
from embsql.nn.sequence_model import SequenceModel
from embsql.nn.sequence_networks import Gru, MeanPooling
from embsql.nn.tensors import float32_array
from embsql.nn.transformer import Transformer, TransformerBlock

if TYPE_CHECKING:
    from embsql.algorithms.base.sequence import Sequential

INPUT = 0  # the layer of what is added to items, before the first
GRU: NetworkKind = "gru"
GRU_DISTINCT: NetworkKind = "gru_distinct"
MEAN: NetworkKind = "mean"
TRANSFORMER: NetworkKind = "transformer"
Rows = tuple[str, Tensor, Tensor]  # part, weights (out, in), bias (out,)


@torch.no_grad()
def network_rows(
    model: SequenceModel, options: Sequential, data: Interactions
) -> Network | None:
    """A network trained on the data as rows; None for one that a mean says all of."""
    network = model.network.cpu()
    if isinstance(network, Gru):
        kind, n_heads, layers = GRU, 1, _gru_layers(network)
    elif isinstance(network, Transformer):
        kind, n_heads = TRANSFORMER, network.n_heads
        layers = _transformer_layers(network)
    elif network.layers or options.time_features:
        kind, n_heads, layers = MEAN, 1, _mean_layers(network, options.dim)
    else:
        return None
    rows = [*_inputs(model, options), *layers]
    n_layers = rows[-1].layer - 1  # the last one is the output
    masked = any(row.part == "mask" for row in rows)
    max_length = options.max_length - masked
    known = _clock(data) if options.time_features else None
    return Network(kind, n_layers, n_heads, max_length, tuple(rows), known)


def _clock(data: Interactions) -> Clock:
    events = data.events_by_time()
    assert events.time is not None  # noqa: S101 - for mypy: time_features are refused without
    return clock(data.item[events.pair], events.time, data.n_items)


@torch.no_grad()
def recurrent_rows(network: Gru, max_length: int) -> Network:
    """A trained GRU as rows, whose histories have each item once."""
    layers = tuple(_gru_layers(network))
    return Network(GRU_DISTINCT, network.gru.num_layers, 1, max_length, layers)


def _inputs(model: SequenceModel, options: Sequential) -> Iterator[NetworkLayer]:
    """What is read besides items: a mask at the end, and times."""
    table = model.input_scale * model.table.cpu()  # (i + 1, d)
    if not getattr(model.network, "causal", True):
        yield _layer(INPUT, _plain("mask", table[model.n_items :]))
    if options.time_features:
        times = model.input_scale * model.time_table.cpu()  # (c, d)
        yield _layer(INPUT, _plain("time", times))


def _gru_layers(network: Gru) -> Iterator[NetworkLayer]:
    """Gates of the input and of the state before: reset, update and new, one after another."""
    n_layers = network.gru.num_layers
    weights = dict(network.gru.named_parameters())
    for n in range(n_layers):
        for part, name in (("input", "ih"), ("hidden", "hh")):
            bias = weights[f"bias_{name}_l{n}"]
            yield _layer(n + 1, (part, weights[f"weight_{name}_l{n}"], bias))
    output = ("output", network.out_proj.weight, network.out_proj.bias)
    yield _layer(n_layers + 1, output)


def _mean_layers(network: MeanPooling, dim: int) -> Iterator[NetworkLayer]:
    """The hidden layers behind the mean; without any the output is the mean itself."""
    if not network.layers:
        yield _layer(1, _plain("output", torch.eye(dim)))
        return
    for n, layer in enumerate(network.layers, 1):
        part = "output" if n == len(network.layers) else "input"
        yield _layer(n, _plain(part, layer.weight))


def _transformer_layers(network: Transformer) -> Iterator[NetworkLayer]:
    for n, block in enumerate(network.blocks, 1):
        for rows in _block(block):
            yield _layer(n, rows)
    identity = torch.eye(len(network.norm.weight))
    output = ("output", *_behind(network.norm, identity))
    yield _layer(len(network.blocks) + 1, output)


def _block(block: TransformerBlock) -> Iterator[Rows]:
    qkv, bias = _behind(block.norm1, block.qkv_proj.weight)  # (3d, d), (3d,)
    parts = ("query", "key", "value")
    yield from zip(parts, qkv.chunk(3), bias.chunk(3), strict=True)
    yield _plain("attention_output", block.out_proj.weight)
    yield "feed_forward", *_behind(block.norm2, block.ffn_in.weight)
    yield _plain("feed_forward_output", block.ffn_out.weight)


def _behind(norm: nn.LayerNorm, weights: Tensor) -> tuple[Tensor, Tensor]:
    """A layer norm's scale and shift within the linear map behind it: (out, d), (out,).

    Rows that sum to zero take the mean away too, so that of the norm only the division is left.
    """
    exact = weights.double()  # (out, d)
    bias = exact @ norm.bias.double()  # (out,)
    scaled = exact * norm.weight.double()  # (out, d)
    return scaled - scaled.mean(1, keepdim=True), bias


def _plain(part: str, weights: Tensor) -> Rows:
    return part, weights, torch.zeros(len(weights))


def _layer(layer: int, rows: Rows) -> NetworkLayer:
    part, weights, bias = rows
    return NetworkLayer(
        layer, part, float32_array(weights.float()), float32_array(bias.float())
    )
