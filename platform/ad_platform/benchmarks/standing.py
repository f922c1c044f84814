"""How many cells of a benchmark stand how: counted, and kept in its summary."""

from dataclasses import asdict, dataclass

from ad_platform.benchmarks.viewing import BenchmarkView
from ad_platform.records import Benchmark
from ad_platform.specs import Json

SUMS = "sums"  # in a benchmark's summary


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Counts of a benchmark's cells: known + computed + failed + open = all of them."""

    state: str  # in a word, as the view's
    cells: int
    done: int
    known: int
    failed: int
    open: int

    def to_json(self) -> dict[str, Json]:
        """Return it as plain JSON values."""
        return asdict(self)


def standing_of(view: BenchmarkView) -> Standing:
    """Count the cells of a benchmark."""
    return Standing(
        state=view.state,
        cells=len(view.cells),
        done=view.done,
        known=view.known,
        failed=view.failed,
        open=view.open,
    )


def kept_standing(benchmark: Benchmark) -> Standing | None:
    """Return what was counted when a benchmark's summary was written, if it says so."""
    kept = benchmark.summary.get(SUMS)
    if not isinstance(kept, dict) or not Standing.__dataclass_fields__.keys() <= kept.keys():
        return None
    counts = {name: kept[name] for name in Standing.__dataclass_fields__}
    return Standing(**counts)  # type: ignore[arg-type]
