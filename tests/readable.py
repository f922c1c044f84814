"""What a browser says of a page: whether everybody can read it, at this width and in these colours."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Contrast as in WCAG 2.2, success criterion 1.4.3: 4.5, and 3 of large letters and of what is drawn (1.4.11).
_CONTRASTS = r"""
() => {
  const parse = (text) => {
    const found = text.match(/[\d.]+/g).map(Number);
    return { rgb: found.slice(0, 3), alpha: found.length > 3 ? found[3] : 1 };
  };
  const over = (top, alpha, below) => top.map((value, i) => value * alpha + below[i] * (1 - alpha));
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const { rgb, alpha } = parse(getComputedStyle(at).backgroundColor);
      layers.push({ rgb, alpha });
      if (alpha === 1) break;
    }
    return layers.reverse().reduce((below, layer) => over(layer.rgb, layer.alpha, below), [255, 255, 255]);
  };
  const light = (rgb) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = rgb.map((value) => linear(value / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const poor = [];
  const seen = new Set();
  const judge = (element, colour, least, what) => {
    const { rgb, alpha } = parse(colour);
    const ground = behind(element);
    const found = ratio(over(rgb, alpha, ground), ground);
    const told = `${what}: ${found.toFixed(2)} of ${least}, ${colour} on ${ground}`;
    if (found < least && !seen.has(told)) { seen.add(told); poor.push(told); }
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let count = 0;
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.textContent.trim() || element.closest("script, style, desc, title, .js-plotly-plot")) continue;
    const style = getComputedStyle(element), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const colour = element.closest("svg") ? style.fill : style.color;
    judge(element, colour, large ? 3 : 4.5, `"${node.textContent.trim().slice(0, 40)}"`);
    count += 1;
  }
  document.querySelectorAll(".chart .line, .chart .rule, .chart .axis").forEach((drawn) =>
    judge(drawn.closest("figure") || drawn, getComputedStyle(drawn).stroke, 3, drawn.getAttribute("class")));
  document.querySelectorAll(".chart .bars, .chart .dot").forEach((drawn) =>
    judge(drawn.closest("figure") || drawn, getComputedStyle(drawn).fill, 3, drawn.getAttribute("class")));
  return { poor, count };
}
"""
# Letters of plots are scaled with them.
_SMALL = r"""
(least) => [...document.querySelectorAll("text, p, td, th, li, a, figcaption, summary, h1, h2, h3, code")]
  .filter((element) => element.textContent.trim() && !element.closest(".js-plotly-plot, .skip"))
  .map((element) => {
    const svg = element.closest("svg");
    const drawn = svg ? svg.viewBox.baseVal.width : 0;
    const scale = drawn ? svg.getBoundingClientRect().width / drawn : 1;
    return [element.textContent.trim().slice(0, 40), parseFloat(getComputedStyle(element).fontSize) * scale];
  })
  .filter(([, size]) => size < least)
"""
# What sticks out of the page to the right, unless it lies in something that scrolls.
_OUTSIDE = r"""
() => [...document.querySelectorAll("main *")]
  .filter((element) => element.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .filter((element) => !element.closest(".scroll, .js-plotly-plot, .hidden"))
  .map((element) => element.tagName + " " + element.textContent.trim().slice(0, 40))
"""


def problems(page: "Page", least: float = 11.0) -> list[str]:
    """Return every way in which a page that is shown is hard to read; `least` are the pixels of letters."""
    found: list[str] = []
    contrasts: dict[str, Any] = page.evaluate(_CONTRASTS)
    assert contrasts["count"] > 20, "next to nothing was looked at"
    found += contrasts["poor"]
    found += [f"{text!r} has letters of {size:.1f} pixels" for text, size in page.evaluate(_SMALL, least)]
    wide = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    found += [f"the page is {wide[0]} wide in a window of {wide[1]}"] if wide[0] > wide[1] else []
    found += [f"{each} sticks out" for each in page.evaluate(_OUTSIDE)]
    return found


def reached(page: "Page", most: int = 200) -> Sequence[str]:
    """Return what the tabulator key reaches, in its order, each with a mark that can be seen."""
    names: list[str] = []
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    for _ in range(most):
        page.keyboard.press("Tab")
        told = page.evaluate(
            "(() => { const at = document.activeElement; const style = getComputedStyle(at); return ["
            "at === document.body, at.tagName.toLowerCase(), "
            "at.getAttribute('aria-label') || at.textContent.trim(), "
            "style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2]; })()"
        )
        if told[0]:
            break
        assert told[3], f"nothing shows that {told[1]} {told[2][:40]} has the focus"
        names.append(f"{told[1]} {told[2][:40]}")
    return names
