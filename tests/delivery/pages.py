"""Reading a page back: its text, its tables by caption, and everything that it would load."""

from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """A parsed page; `tables` maps a caption to rows of (value, note)."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[tuple[str, str]]]] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self._caption = ""
        self._class = ""
        self._rows: list[list[tuple[str, str]]] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        self._class = dict(attributes).get("class") or ""
        if tag == "table":
            self._caption, self._rows = "", []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append(("", ""))

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        opened = self.open.pop()
        assert opened == tag, f"<{opened}> is closed by </{tag}>"
        if tag == "table":
            assert self._caption not in self.tables, f"two tables are called {self._caption}"
            self.tables[self._caption] = self._rows

    def handle_data(self, data: str) -> None:
        inside = self.open[-1] if self.open else ""
        if inside not in ("style", "script"):
            self.text += data
        if "caption" in self.open:
            self._caption += data.strip()
        elif self._rows and self._rows[-1] and inside == "span":
            value, note = self._rows[-1][-1]
            self._rows[-1][-1] = (value, data) if self._class == "note" else (data, note)
