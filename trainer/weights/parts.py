"""What a rank holds of a tensor that DeepSpeed has spread over the ranks."""

import torch


def held(tensor: torch.Tensor) -> torch.Tensor:
    """Return the whole tensor or, where ZeRO-3 has spread it, this rank's elements of it, (n,), without those that fill
    the last ranks' parts up to equal lengths: they were never written, so they may be any number, NaN too."""
    part = getattr(tensor, "ds_tensor", None)
    if part is None:
        return tensor
    begin = tensor.ds_zero_partition_rank * part.numel()  # type: ignore[attr-defined]
    return part[: max(0, tensor.ds_numel - begin)]  # type: ignore[attr-defined, no-any-return]
