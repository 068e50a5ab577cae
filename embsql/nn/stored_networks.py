"""Sequence networks made of their rows again: the states after histories, as SQL makes them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from embsql.data import Embeddings, Float32, Int64, Network, NetworkLayer
from embsql.nn.histories import EventHistories
from embsql.nn.network_rows import INPUT, MEAN, TRANSFORMER
from embsql.nn.sequence_model import SequenceModel
from embsql.nn.sequence_networks import Gru, MeanPooling
from embsql.nn.tensors import float32_array
from embsql.nn.transformer import Transformer, TransformerBlock

Parts = dict[tuple[int, str], NetworkLayer]  # by layer and part


class StoredNetwork:
    """The network of vectors that were trained with one, in torch."""

    def __init__(self, embeddings: Embeddings, network: Network) -> None:
        parts = {(layer.layer, layer.part): layer for layer in network.layers}
        n_items, dim = embeddings.items.shape
        generator = torch.Generator()  # whose numbers are all written over
        build = BUILDERS.get(network.kind, _gru)
        module = build(network, parts, dim, generator)
        temperature = 1.0 if embeddings.similarity == "cosine" else None
        self.network = network
        self.model = SequenceModel(n_items, dim, module, generator, temperature)
        self.model.input_scale = 1.0  # it is in the vectors
        self.is_masked = (INPUT, "mask") in parts
        self._fill(embeddings, parts)

    @torch.no_grad()
    def _fill(self, embeddings: Embeddings, parts: Parts) -> None:
        """What is read: items, a mask behind them, times."""
        scale = embeddings.fold_in.item_scale  # (i,)
        assert scale is not None  # noqa: S101 - for mypy: whoever trains a network gives it
        scaled = embeddings.items * scale[:, None]  # (i, d)
        self.model.items.copy_(torch.from_numpy(scaled))
        tables = {
            "mask": self.model.table[self.model.n_items :],
            "time": self.model.time_table,
        }
        for part, table in tables.items():
            layer = parts.get((INPUT, part))
            if layer:
                table.copy_(torch.from_numpy(layer.weights))

    def states(self, offsets: Int64, item: Int64, time_features: Int64) -> Float32:
        """The states after histories, one after another, 0 after an empty one: (b, d).

        Offsets (b + 1,), items (t,), time features (t, c), as in `features.time.time_rows`.
        """
        m = len(item)
        events = EventHistories(
            torch.from_numpy(offsets),
            torch.from_numpy(item),
            weight=torch.ones(m),
            age=torch.zeros(m),
            time_features=torch.from_numpy(time_features),
        )
        if self.is_masked:
            events = events.append(self.model.n_items)
        return float32_array(self.model.last_states(events))


def _gru(network: Network, parts: Parts, dim: int, generator: torch.Generator) -> Gru:
    module = Gru(dim, network.n_layers, 0.0, generator)
    weights = dict(module.gru.named_parameters())
    with torch.no_grad():
        for n in range(network.n_layers):
            for part, name in (("input", "ih"), ("hidden", "hh")):
                layer = parts[n + 1, part]
                weight = weights[f"weight_{name}_l{n}"]
                weight.copy_(torch.from_numpy(layer.weights))
                bias = weights[f"bias_{name}_l{n}"]
                bias.copy_(torch.from_numpy(layer.bias))
    module.out_proj = _linear(parts[network.n_layers + 1, "output"])
    return module


def _mean(
    network: Network, parts: Parts, dim: int, generator: torch.Generator
) -> MeanPooling:
    module = MeanPooling([dim], 0.0, generator, bag=False)
    hidden = [parts[n + 1, "input"] for n in range(network.n_layers)]
    output = parts[network.n_layers + 1, "output"]
    module.layers = nn.ModuleList(_linear(layer) for layer in [*hidden, output])
    return module


def _transformer(
    network: Network, parts: Parts, dim: int, generator: torch.Generator
) -> Transformer:
    """Its norms' scales and shifts are in the maps behind them."""
    causal = (INPUT, "mask") not in parts
    module = Transformer(
        dim, network.n_layers, network.n_heads, 0.0, generator, causal=causal
    )
    for n, block in enumerate(module.blocks, 1):
        _fill_block(block, n, parts, dim)
    output = _linear(parts[network.n_layers + 1, "output"])
    module.norm = nn.Sequential(_norm(dim), output)
    return module


def _fill_block(block: TransformerBlock, n: int, parts: Parts, dim: int) -> None:
    block.norm1 = _norm(dim)
    block.norm2 = _norm(dim)
    query = parts[n, "query"]
    key = parts[n, "key"]
    value = parts[n, "value"]
    block.qkv_proj = _linear(query, key, value)
    block.out_proj = _linear(parts[n, "attention_output"])
    block.ffn_in = _linear(parts[n, "feed_forward"])
    block.ffn_out = _linear(parts[n, "feed_forward_output"])


def _norm(dim: int) -> nn.LayerNorm:
    return nn.LayerNorm(dim, elementwise_affine=False)


def _linear(*layers: NetworkLayer) -> nn.Linear:
    """Linear maps, what one gives after what the others give."""
    weight = torch.cat([_tensor(layer.weights) for layer in layers])  # (out, in)
    bias = torch.cat([_tensor(layer.bias) for layer in layers])  # (out,)
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    linear.weight = nn.Parameter(weight)
    linear.bias = nn.Parameter(bias)
    return linear


def _tensor(array: Float32) -> Tensor:
    return torch.from_numpy(array)


BUILDERS = {MEAN: _mean, TRANSFORMER: _transformer}  # all others are recurrent
