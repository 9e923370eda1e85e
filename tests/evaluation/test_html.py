"""A report in one file: everything in it, nothing fetched, nothing obeyed."""

import base64
import html.parser

import numpy as np
import pytest

from alp_tf.evaluation import black_box
from alp_tf.evaluation import html as pages
from alp_tf.evaluation.canvas import figure, save
from alp_tf.evaluation.transfer_table import Transfer

TEXT = """# The \\*report\\* of `ALP` & <b>others</b>

| attack | accuracy |
|---|---:|
| PGD | 97.31 % |
| <script>alert(1)</script> a\\|b | 5.00 % |

<img src="http://example.org/x.png" onerror="alert(1)">

![Two <i>bars</i>](figures/one%20picture.png)

See [the paper](https://arxiv.org/abs/1803.06373), [not this](javascript:alert(1)).
"""


class Elements(html.parser.HTMLParser):
    """Elements with their attributes, and the text of table cells and of the title."""

    def __init__(self, page):
        super().__init__()
        self.found, self.cells, self.title, self._open = [], [], "", None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self._open = tag
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        self._open = None

    def handle_data(self, data):
        if self._open in ("td", "th"):
            self.cells[-1] += data
        if self._open == "title":
            self.title += data


@pytest.fixture
def directory(tmp_path):
    """A work directory with one picture."""
    drawn, axis = figure(2, 2)
    axis.plot(np.arange(3))
    save(drawn, tmp_path / "figures" / "one picture.png")
    return tmp_path


def test_the_page_holds_everything_and_fetches_nothing(directory):
    page = Elements(pages.single_file(TEXT, directory))
    tags = [tag for tag, _ in page.found]
    assert not {"script", "link", "iframe", "b", "i"} & set(tags)
    (picture,) = (attributes for tag, attributes in page.found if tag == "img")
    head, data = picture["src"].split(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data) == (directory / "figures" / "one picture.png").read_bytes()
    assert picture["alt"] == "Two <i>bars</i>"
    assert not [attributes for _, attributes in page.found if any(name.startswith("on") for name in attributes)]
    assert [attributes.get("href") for tag, attributes in page.found if tag == "a"] == [
        "https://arxiv.org/abs/1803.06373",
        None,
    ]
    assert page.title == "The *report* of ALP & <b>others</b>"
    assert page.cells == ["attack", "accuracy", "PGD", "97.31 %", "<script>alert(1)</script> a|b", "5.00 %"]
    assert tags[tags.index("table") - 1] == "div"


def test_tables_of_results_come_through(directory):
    row = {"robust_accuracy": 0.5, "ci95": (0.4, 0.6), "clean_top5": None, "robust_top5": None}
    none = {"targeted_success": None, "targeted_success_ci95": None, "target": "a|b", "clean_accuracy": 0.9}
    rows = [
        black_box.Row(attack=attack, source=source, white_box=False, **row, **none)
        for attack in ("pgd", None)
        for source in ("<s>", None)
    ]
    found = Transfer(
        examples=10,
        attacks={"pgd": "PGD()"},
        threat_models={"pgd": "linf 0.3"},
        sources=("<s>",),
        targets=("a|b",),
        rows=tuple(rows),
        seconds=1.0,
        seed=0,
    )
    cells = Elements(pages.single_file(str(found), directory)).cells
    assert cells[4:8] == ["a|b", "90.00 %", "50.00 %", "40.00 % to 60.00 %"]
    assert cells[8:] == ["source", "a|b", "<s>", "50.00 %"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("../secret.png", "lies outside"),
        ("/etc/passwd", "lies outside"),
        ("https://example.org/x.png", "lies outside"),
        ("figures/none.png", "is missing"),
        ("notes.txt", "no picture"),
    ],
)
def test_pictures_must_be_there(source, says, directory):
    (directory / "notes.txt").write_text("text")
    (directory.parent / "secret.png").write_bytes(b"")
    with pytest.raises(ValueError, match=says):
        pages.single_file(f"![x]({source})", directory)


def test_a_text_without_heading_has_a_title(directory):
    assert Elements(pages.single_file("nothing", directory)).title == "Report"
