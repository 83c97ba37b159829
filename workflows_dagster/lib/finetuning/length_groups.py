"""The order of training rows: rows of like length share a batch, so that little is padded."""

from collections.abc import Sequence
from typing import Any


def length_groups(rows: Sequence[Sequence[int]], batch_size: int, seed: int) -> Any:
    """A sampler that groups rows by length, in an order that seed and epoch alone decide.

    Args:
        rows: Token ids of each row.
        batch_size: Rows of one optimizer step.
        seed: Seed of the order.
    """
    import torch
    from torch.utils.data import Sampler
    from transformers.trainer_pt_utils import get_length_grouped_indices

    lengths = [len(row) for row in rows]

    class LengthGroups(Sampler[int]):
        epoch = 0

        def set_epoch(self, epoch: int) -> None:
            self.epoch = epoch

        def __len__(self) -> int:
            return len(lengths)

        def __iter__(self) -> Any:
            generator = torch.Generator().manual_seed(seed * 100_003 + self.epoch)
            return iter(get_length_grouped_indices(lengths, batch_size, generator=generator))

    return LengthGroups()
