"""A function of images and a model's tensors as a module: scoring and export share one formula."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class Formula(nn.Module):
    """Calls a function with the images and a copy of these tensors, which become part of the file."""

    def __init__(self, function: Callable[..., tuple[Tensor, Tensor]], **tensors: Tensor) -> None:
        super().__init__()
        self._function, self._names = function, tuple(tensors)
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor.detach().to("cpu", copy=True))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the function does: scores (B,) and maps (B, S, S)."""
        return self._function(images, **{name: getattr(self, name) for name in self._names})
