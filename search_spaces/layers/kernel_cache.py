"""A kernel generated once and used until what it is made of changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook


class KernelCache:
    """One tensor, and the state of what it was made of.

    A change shows in a tensor's version, which in-place operations raise, or in its storage, which another
    device or type replaces; steps of optimisers are counted, since fused ones (torch 2.13) raise no version.
    Writes through `.data` or to another tensor of the same storage leave no trace: call `clear` after them.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget the kernel."""
        self._kernel: Tensor | None = None
        self._state: object = None
        self._sources: Sequence[Tensor] = ()

    def get(
        self, crop: tuple[int, ...] | None, sources: Sequence[Tensor], make: Callable[[], Tensor]
    ) -> Tensor:
        """What `make` returns, made anew if the crop or one of the tensors that it reads has changed."""
        if any(source.is_inference() for source in sources):
            return make()  # such tensors have no version
        state = crop, _steps(), [(id(source), source._version, source.data_ptr()) for source in sources]
        if self._kernel is None or state != self._state:
            self._kernel, self._state = make(), state
            self._sources = sources  # alive, their ids stay theirs
        return self._kernel

    def __reduce__(self) -> tuple[type[KernelCache], tuple[()]]:
        return KernelCache, ()  # a copy of the layer makes its own


def _steps() -> int:
    """Steps that optimisers have taken since this was first asked."""
    if not _counted:
        _counted.append(0)
        register_optimizer_step_post_hook(_count)
    return _counted[0]


_counted: list[int] = []


def _count(*_: object) -> None:
    _counted[0] += 1
