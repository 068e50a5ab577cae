"""Small things of tensors, that several networks want."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from embsql.data import Float32


def true_indices(mask: Tensor) -> Tensor:
    """Where a mask (n,) is true: (m,)."""
    return mask.nonzero()[:, 0]


def int64_tensor(array: NDArray[Any]) -> Tensor:
    """Codes (n,) as indices of torch."""
    return torch.from_numpy(array.astype(np.int64))


def float32_array(tensor: Tensor) -> Float32:
    """A tensor, wherever it is, as numpy's."""
    array: Float32 = tensor.detach().cpu().numpy()
    return array
