"""What every page of ours keeps to, read off its HTML: headings in order, pictures told, nothing outside."""

import re
from html.parser import HTMLParser

VOID = frozenset({"meta", "img", "br", "link", "input", "hr"})
DRAWN = frozenset({"path", "rect", "circle", "polyline"})


class Markup(HTMLParser):
    """A page as its parts; fails where tags do not close as they opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag == "a":
            self.links.append(str(found.get("href")))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in DRAWN, f"<{tag}/> closes itself"
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        """Return what a reader sees."""
        return " ".join(" ".join(self.words).split())


def problems(text: str) -> list[str]:
    """Return every way in which a page is not what all can read, and opens what lies elsewhere."""
    page = Markup(text)
    found = []
    if page.headings.count(1) != 1 or page.headings[0] != 1:
        found.append(f"its h1: {page.headings[:3]}")
    found += [
        f"h{after} follows h{before}"
        for before, after in zip(page.headings, page.headings[1:], strict=False)
        if after > before + 1
    ]
    found += [f"the id {name} is there twice" for name in set(page.ids) if page.ids.count(name) > 1]
    found += [f"{link} leads nowhere" for link in page.links if link.removeprefix("#") not in page.ids]
    html = next(attrs for tag, attrs in page.tags if tag == "html")
    found += [] if html.get("lang") == "en" else ["it has no lang"]
    for tag, attrs in page.tags:
        if tag == "img" and not (attrs.get("alt") or "").strip():
            found.append("an image has no alt text")
        if tag == "svg" and not (attrs.get("aria-labelledby") or attrs.get("aria-hidden") == "true"):
            found.append("a drawing is neither told nor hidden")
        named = str(attrs.get("aria-labelledby") or "").split()
        found += [f"{tag} is named by {name}, which is not there" for name in named if name not in page.ids]
        if "scroll" in str(attrs.get("class") or "").split() and not (
            attrs.get("tabindex") == "0" and attrs.get("aria-label")
        ):
            found.append("what scrolls cannot be reached by a keyboard")
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            value = attrs.get(name)
            if value and not value.startswith(("data:", "#")):
                found.append(f"{tag} asks for {value}")
    styles = re.findall(r"<style>(.*?)</style>", text, re.S)
    found += [
        f"a style asks for {each}" for style in styles for each in re.findall(r"@import|url\([^)]*\)", style)
    ]
    return found
