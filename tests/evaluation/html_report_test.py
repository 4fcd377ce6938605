"""report.html in a browser without a screen (Debian's chromium)."""

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

from bert_tf.evaluation import attribution
from tests.conftest import review_rows, write_csv
from tests.runs import write_evaluation

SECTIONS = (
    "verdict", "plots", "confusion", "classes", "thresholds", "training",
    "texts", "samples", "data", "commands", "settings",
)  # fmt: skip
# Written by a script of the test's own at the end of the page.
PROBE = """
<script>
const probe = {};
const shown = () => items.filter((item) => !item.hidden).length;
probe.all = items.length;
search.value = "wor";
search.dispatchEvent(new Event("input"));
probe.found = shown();
probe.right = items.filter((item) => !item.hidden)
  .every((item) => item.textContent.toLowerCase().includes("wor"));
search.value = "no text has this";
search.dispatchEvent(new Event("input"));
probe.none = shown();
probe.wide = document.documentElement.scrollWidth - innerWidth;
wanted.value = "0.5";
wanted.dispatchEvent(new Event("input"));
probe.threshold = document.getElementById("wanted-answer").textContent;
document.title = "probe " + JSON.stringify(probe);
</script>
"""


def browse(page: str, folder, *flags: str) -> subprocess.CompletedProcess:
    """Opens a page; returns its DOM and what the console said."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium: apt-get install chromium")
    return subprocess.run(
        [
            browser, "--headless=new", "--no-sandbox", "--disable-gpu",
            "--disable-background-networking", "--no-first-run",
            f"--user-data-dir={folder / 'profile'}",
            "--enable-logging=stderr", "--v=0",
            "--virtual-time-budget=4000", *flags, f"file://{page}",
        ],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip


@pytest.fixture(scope="module")
def page(trained_run, tmp_path_factory) -> str:
    """A page with mistakes: every tenth label is turned round."""
    folder = tmp_path_factory.mktemp("page")
    rows = [
        (text.replace("the", "the <b>&wor", 1), label)
        if i % 5
        else (text, "pos" if label == "neg" else "neg")
        for i, (text, label) in enumerate(review_rows(100))
    ]
    path = write_csv(folder / "test.csv", rows)
    write_evaluation(trained_run, [path], folder)
    return str(folder / "report.html")


def read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_it_has_every_part(page):
    text = read(page)
    for name in SECTIONS:
        assert f'<section id="{name}"' in text, name
        assert f'href="#{name}"' in text
    assert text.count("<svg ") == 7
    # Texts of the data are text in the page.
    assert "<b>&wor" not in text and "&lt;b&gt;&amp;wor" in text
    assert "majority" not in text and "always answering" in text
    assert "TF-IDF and logistic regression" in text
    assert os.path.getsize(page) < 5_000_000


class Addresses(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [
            value
            for name, value in attrs
            if name in ("src", "href", "xlink:href", "action", "srcset")
        ]


def test_it_names_nothing_outside_itself(page):
    parser = Addresses()
    parser.feed(read(page))
    assert len(parser.found) > 10
    for address in parser.found:
        assert address.startswith(("#", "data:")), address
    assert "url(http" not in read(page) and "@import" not in read(page)


@pytest.mark.parametrize("width", [360, 1400])
def test_in_a_browser(page, tmp_path, width):
    """No error, no request, a search that finds, and nothing too wide."""
    probed = tmp_path / "probed.html"
    # A frame has the width of a phone, which a window cannot have.
    probed.write_text(
        read(page).replace("</body>", f"{PROBE}</body>"), encoding="utf-8"
    )
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<iframe id="f" src="probed.html" style="width:{width}px"></iframe>'
        "<script>onload = () => { document.title = "
        'document.getElementById("f").contentDocument.title; };</script>',
        encoding="utf-8",
    )
    log = tmp_path / "net.json"
    done = browse(
        str(frame), tmp_path, "--dump-dom", "--allow-file-access-from-files",
        f"--log-net-log={log}",
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr, done.stderr
    found = re.search(r"<title>probe (.*?)</title>", done.stdout)
    assert found, done.stdout[:2000]
    probe = json.loads(found.group(1).replace("&quot;", '"'))
    assert 0 < probe["found"] < probe["all"]
    assert probe["right"] and probe["none"] == 0
    assert probe["wide"] <= 0
    assert re.match(r"threshold 0\.\d+: precision", probe["threshold"])
    # The browser's own errands aside, which --disable-background-networking
    # leaves a few of, the page asked for files only.
    asked = re.findall(r'"url":"(https?://[^"]+)"', log.read_text())
    own = ("google.com", "googleapis.com", "gvt1.com", "gstatic.com")
    assert not [url for url in asked if not any(host in url for host in own)]


def test_a_console_error_would_be_seen(tmp_path):
    page = tmp_path / "broken.html"
    page.write_text("<script>throw new Error('seen')</script>")
    assert "seen" in browse(str(page), tmp_path, "--dump-dom").stderr


def test_of_a_saved_model(saved_model, tmp_path):
    path = write_csv(tmp_path / "t.csv", review_rows(40))
    folder = tmp_path / "out"
    folder.mkdir()
    write_evaluation(saved_model, [path], folder)
    text = read(str(folder / "report.html"))
    assert '<section id="texts"' in text
    assert '<section id="training"' not in text
    assert (folder / "reliability.png").exists()


def test_marks_are_the_fall_of_the_log_odds(trained_run):
    """Weights equal a prediction of each shortened text, asked afresh."""
    from bert_tf.inference import loaded_run

    model = loaded_run.open_model(trained_run, batch_size=16)
    text = "the film was great very"
    encoded = model.encode(([text],))
    (found,) = attribution.leave_one_out(
        model.predict_encoded, [(encoded, 0)], model.tokens, most_passes=99
    )
    words = text.split()
    without = [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
    chances = model.predict_encoded(model.encode(([text, *without],))).astype(
        np.float64
    )
    best = chances[0].argmax()
    odds = np.log(chances[:, best]) - np.log1p(-chances[:, best])
    expected = odds[0] - odds[1:]
    np.testing.assert_allclose(
        found.weights[1:-1], expected / np.abs(expected).max(), atol=1e-2
    )
    assert found.pieces[0] == "[CLS]" and found.weights[0] == 0
    assert max(found.weights) == found.weights[1 + words.index("great")]


def test_marks_keep_to_their_budget(trained_run):
    from bert_tf.inference import loaded_run

    model = loaded_run.open_model(trained_run, batch_size=16)
    encoded = model.encode((["the film was great"] * 9,))
    asked = []

    def predict(texts):
        asked.append(len(texts.lengths))
        return model.predict_encoded(texts)

    found = attribution.leave_one_out(
        predict, [(encoded, i) for i in range(9)], model.tokens,
        most_passes=12,
    )  # fmt: skip
    # Four words: five passes per text.
    assert len(found) == 2 and asked == [10]


def test_long_texts_are_left_out_in_spans():
    spans = attribution._spans(["[CLS]", *["word", "##s"] * 100, "[SEP]"])
    assert len(spans) <= 24
    assert spans[0][0] == 1 and spans[-1][1] == 201
    assert all(a[1] == b[0] for a, b in zip(spans, spans[1:], strict=False))
    pair = ["[CLS]", "a", "##b", "[SEP]", "c", "[SEP]"]
    assert attribution._spans(pair) == [(1, 3), (4, 5)]
