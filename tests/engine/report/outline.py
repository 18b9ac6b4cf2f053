"""What an HTML page is made of, told by the parser of Python's library."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "br", "input", "link", "img", "hr"}


@dataclass
class Element:
    """An element with its attributes, and the texts and elements in it."""

    tag: str
    attributes: dict[str, str]
    parts: list[Element | str] = field(default_factory=list)

    @property
    def children(self) -> list[Element]:
        return [each for each in self.parts if isinstance(each, Element)]

    @property
    def text(self) -> str:
        """The text that stands in it itself."""
        return "".join(each for each in self.parts if isinstance(each, str))

    def all(self, *tags: str) -> list[Element]:
        """Every element below of one of these tags (of any if none is named), in order."""
        found = []
        for child in self.children:
            if not tags or child.tag in tags:
                found.append(child)
            found += child.all(*tags)
        return found

    @property
    def words(self) -> str:
        """All text in it, as it stands."""
        return "".join(each if isinstance(each, str) else each.words for each in self.parts)


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self.path = [self.root]
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.faults.append(f"<{tag}> has an attribute twice")
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.path[-1].parts.append(element)
        if tag not in _VOID:
            self.path.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.path.pop()

    def handle_endtag(self, tag: str) -> None:
        if self.path[-1].tag != tag:
            self.faults.append(f"</{tag}> ends <{self.path[-1].tag}>")
            return
        self.path.pop()

    def handle_data(self, data: str) -> None:
        self.path[-1].parts.append(data)


def outline(page: str) -> Element:
    """Return the root of a page, every element of which was ended where it had to be."""
    builder = _Builder()
    builder.feed(page)
    builder.close()
    assert builder.faults == []
    assert builder.path == [builder.root]
    return builder.root
