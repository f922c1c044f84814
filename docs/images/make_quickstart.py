"""Draw quickstart.png of the README: the three screws of `adctl quickstart`, each beside its heat map.

python docs/images/make_quickstart.py ADCTL_HOME
"""

import csv
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SIDE, GAP, LABEL = 192, 6, 24


def main(home: Path) -> None:
    """Read what a quickstart left in ADCTL_HOME and write the picture beside this file."""
    with (home / "quickstart" / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    width = len(rows) * (2 * SIDE + GAP) + (len(rows) - 1) * 3 * GAP
    sheet = Image.new("RGB", (width, SIDE + LABEL), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for place, row in enumerate(rows):
        left = place * (2 * SIDE + 4 * GAP)
        for index, file in enumerate((row["path"], row["heat_map"])):
            tile = Image.open(file).convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            sheet.paste(tile, (left + index * (SIDE + GAP), 0))
        truth = Path(row["path"]).parent.name
        words = f"{truth.replace('_', ' ')}: {float(row['score']):.2f}, {row['decision']}"
        pen.text((left, SIDE + 4), words, "black", font)
    # A palette, since a README's picture should be small.
    sheet.quantize(256, Image.Quantize.MAXCOVERAGE).save(
        Path(__file__).with_name("quickstart.png"), optimize=True
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
