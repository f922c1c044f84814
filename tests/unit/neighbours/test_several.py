"""The distance to several neighbours is that of sorting all of them."""

import torch

from ad_detectors.neighbours import several
from ad_detectors.neighbours.several import mean_square


def test_it_is_the_mean_of_the_smallest_squares_whatever_the_blocks(monkeypatch) -> None:
    random = torch.Generator().manual_seed(3)
    rows, queries = (torch.randn(count, 7, generator=random) + 50.0 for count in (103, 20))
    wanted = torch.cdist(queries.double(), rows.double()).square().sort(dim=1).values
    for count in (1, 5, 103):
        for block in (4096, 10):
            monkeypatch.setattr(several, "BLOCK", block)
            found = mean_square(queries, rows, count)
            assert torch.allclose(found.double(), wanted[:, :count].mean(dim=1), rtol=1e-5), (count, block)


def test_of_fewer_rows_all_count_and_a_row_is_at_no_distance_of_itself() -> None:
    rows = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(mean_square(rows, rows, 9), torch.cdist(rows, rows).square().mean(dim=1), atol=1e-6)
    assert float(mean_square(rows, rows, 1).max()) == 0.0
