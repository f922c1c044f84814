"""Take report.png of docs/report.md: the beginning of the page about a fit and its evaluation.

PYTHONPATH=tests python docs/images/make_report.py "$(adctl report JOB)"
"""

import io
import sys
from pathlib import Path

from PIL import Image

import chromium

SIZE = (1280, 1240)


def main(file: str) -> None:
    """Open a page in a headless browser and write the picture beside this file."""
    with chromium.page(*SIZE) as page:
        page.goto(Path(file).resolve().as_uri())
        page.wait_for_function("() => [...document.images].slice(0, 6).every((each) => each.complete)")
        shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    # A palette, since a picture of the documentation should be small.
    shot.quantize(256, Image.Quantize.MAXCOVERAGE).save(Path(__file__).with_name("report.png"), optimize=True)


if __name__ == "__main__":
    main(sys.argv[1].strip())
