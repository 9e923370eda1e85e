"""A report as one HTML file that can be mailed, kept and opened anywhere: pictures inside, nothing fetched."""

import base64
import html
import mimetypes
import pathlib
import urllib.parse
import xml.etree.ElementTree as etree

import markdown
from markdown import extensions, treeprocessors

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --paper: #fff; --line: #d8d8d8; --soft: #f4f4f2; --link: #0072b2; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --paper: #17181a; --line: #3a3c40; --soft: #212327; --link: #56b4e9; }
}
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 4rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
h1, h2, h3 { line-height: 1.25; margin: 2rem 0 .6rem; }
h1 { margin-top: 0; }
a { color: var(--link); }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .75rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
thead th { border-bottom-width: 2px; }
code, pre { background: var(--soft); border-radius: 4px; font-size: .88em; }
code { padding: .1em .3em; }
pre { padding: .8rem; overflow-x: auto; }
pre code { padding: 0; }
img { max-width: 100%; height: auto; background: #fff; border-radius: 6px; }
"""
# The page may show its own pictures and style, and load or run nothing else.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_LINKS = ("", "http", "https", "mailto")


def single_file(markdown_text, directory):
    """Turns a report in Markdown into one self-contained page.

    HTML in the text is shown, not obeyed: names of experiments, classes and models come from elsewhere.

    Args:
      markdown_text: such as the text of a work directory's report.md; its pictures are paths relative to `directory`.
      directory: where the pictures are.

    Returns:
      The page, with every picture inside as a data URI; its title is the first heading.

    Raises:
      ValueError: a picture that lies outside the directory, is missing or is no picture.
    """
    page = _Page(pathlib.Path(directory))
    converter = markdown.Markdown(extensions=["tables", "fenced_code", page], output_format="html")
    body = converter.convert(markdown_text)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{html.escape(page.title or "Report")}</title>
<style>{_STYLE}</style>
</head>
<body>
{body}
</body>
</html>
"""


class _Page(extensions.Extension, treeprocessors.Treeprocessor):
    """Goes through the document once it is parsed: pictures in, tables in boxes that scroll, the title noted.

    Attributes:
      title: text of the first heading; None if there is none.
    """

    def __init__(self, directory):
        extensions.Extension.__init__(self)
        self._directory = directory.resolve()
        self.title = None

    def extendMarkdown(self, md):  # noqa: N802 (Markdown's name)
        """See markdown.extensions.Extension."""
        md.preprocessors.deregister("html_block")
        md.inlinePatterns.deregister("html")
        md.inlinePatterns.deregister("entity")
        self.md = md
        # Last of all: the pictures are found (priority 20) and escaped characters are back in the text (0).
        md.treeprocessors.register(self, "single_file", -1)

    def run(self, root):
        """See markdown.treeprocessors.Treeprocessor."""
        for element in root.iter():
            if element.tag == "img":
                element.set("src", self._embedded(element.get("src")))
            elif element.tag == "a" and urllib.parse.urlsplit(element.get("href", "")).scheme not in _LINKS:
                del element.attrib["href"]
            elif element.tag in ("h1", "h2", "h3", "h4", "h5", "h6") and self.title is None:
                self.title = "".join(element.itertext())
        for parent in list(root.iter()):
            for place, child in enumerate(parent):
                if child.tag == "table":
                    parent[place] = box = etree.Element("div", {"class": "scroll", "tabindex": "0"})
                    box.append(child)
                    box.tail, child.tail = child.tail, None

    def _embedded(self, source):
        path = (self._directory / urllib.parse.unquote(source)).resolve()
        if urllib.parse.urlsplit(source).scheme or not path.is_relative_to(self._directory):
            raise ValueError(f"the picture {source!r} lies outside {self._directory}; put it there to embed it")
        kind, _ = mimetypes.guess_type(path.name)
        if not path.is_file():
            raise ValueError(f"the picture {source!r} is missing: there is no file {path}")
        if not (kind or "").startswith("image/"):
            raise ValueError(f"{source!r} is no picture that can be embedded: its name ends in {path.suffix!r}")
        return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
