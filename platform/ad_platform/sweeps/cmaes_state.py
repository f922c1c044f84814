"""CMA-ES whose state, kept by Optuna as a pickle beside each trial, is read back as numbers and nothing else.

Whoever may write to Optuna's database could otherwise run a program in a worker that takes a sweep further.
"""

import io
import pickle
from typing import TYPE_CHECKING, Any

from optuna.samplers import CmaEsSampler

from ad_platform.errors import StoreDamaged

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

# What the state of each of Optuna's variants (plain, separable, with margin) is made of.
_KNOWN = frozenset(
    {
        ("cmaes._cma", "CMA"),
        ("cmaes._sepcma", "SepCMA"),
        ("cmaes._cmawm", "CMAwM"),
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy._core.multiarray", "_reconstruct"),
    }
)


class NumbersOnly(pickle.Unpickler):
    """Refuses every name that is not one of a state's parts, before anything of it is imported or called."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a part of a state; raise UnpicklingError for anything else."""
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a state")
        return super().find_class(module, name)


class CmaEs(CmaEsSampler):
    """Optuna's sampler, with its one way of unpickling replaced."""

    def _restore_optimizer(self, completed_trials: "list[FrozenTrial]") -> Any:
        """Return the newest state that a trial keeps, or None; raise StoreDamaged for one that is none."""
        for trial in reversed(completed_trials):
            kept = {
                name: str(value)
                for name, value in trial.system_attrs.items()
                if name.startswith(self._attr_key_optimizer)
            }
            if kept:
                return _read(self._concat_optimizer_attrs, kept, trial.number)
        return None


def _read(joined: Any, kept: dict[str, str], number: int) -> Any:
    try:
        return NumbersOnly(io.BytesIO(bytes.fromhex(joined(kept)))).load()
    except Exception as error:  # a pickle that is none can fail in any way
        raise StoreDamaged(
            f"what Optuna keeps of CMA-ES beside trial {number} cannot be read ({error}); "
            "go on with a clone of the sweep: adctl sweep clone"
        ) from error
