"""A page goes over an older one of its kind, and over nothing else."""

from pathlib import Path

import pytest

from ad_platform.errors import InvalidRequest
from ad_platform.pages import frame, writing
from ad_platform.pages.frame import Part

PAGE = frame.document("t", frame.heading("Kind", "t"), [Part(title="One", html="<p>1</p>")]).encode()


def test_a_page_replaces_an_older_one_and_an_empty_file(tmp_path: Path) -> None:
    page = tmp_path / "deep" / "er.html"
    writing.write({page: PAGE})
    writing.write({page: PAGE + b"<!-- newer -->"})
    assert page.read_bytes().endswith(b"<!-- newer -->")
    (tmp_path / "empty.html").touch()
    writing.write({tmp_path / "empty.html": PAGE})
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "empty.html", "er.html"]


def test_of_two_files_neither_is_written_where_one_belongs_to_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("my,own\n")
    with pytest.raises(InvalidRequest, match=r"a\.csv is there already and was not written by adctl report"):
        writing.write({tmp_path / "a.html": PAGE, tmp_path / "a.csv": b"number\n"}, b"number,state")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize(("to", "place"), [("x.html", "x.html"), ("x.HTM", "x.HTM"), ("x", "x/report.html")])
def test_a_name_that_ends_like_a_page_is_one(to: str, place: str, tmp_path: Path) -> None:
    assert writing.page_place(tmp_path / to) == tmp_path / place


def test_a_folder_called_like_a_page_holds_it(tmp_path: Path) -> None:
    (tmp_path / "x.html").mkdir()
    assert writing.page_place(tmp_path / "x.html") == tmp_path / "x.html" / "report.html"
