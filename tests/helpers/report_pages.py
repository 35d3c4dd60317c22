"""Reports as a browser would read them."""

import json
from html.parser import HTMLParser

HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>&amp;"


class Page(HTMLParser):
    """What a browser would make of the page: elements, visible text, and the figures' data."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.links, self.figures = [], [], [], {}
        self._figure = None
        self.feed(html)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        if tag in {"script", "style"}:
            self._figure = found.get("data-figure", "")
        if "href" in found:
            self.links.append(found["href"])

    def handle_endtag(self, tag):
        if tag in {"script", "style"}:
            self._figure = None

    def handle_data(self, data):
        if self._figure:
            self.figures[self._figure] = json.loads(data)
        elif self._figure is None:
            self.texts.append(data)
