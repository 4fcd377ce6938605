"""The page to try a model on, for each task: over HTTP and in a browser."""

import concurrent.futures
import contextlib
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping

import httpx
import psutil
import pytest
from playwright import sync_api

import bert_tf
from bert_tf import try_out
from bert_tf.errors import InputError
from tests.conftest import free_port
from tests.scripts import ROOT, run_script
from tests.serving.hostile import SHORTER

ANSWER, ANSWER_MANY = "/answer", "/answer_many"
# One for all requests: each of its own would read the certificates first, which
# takes longer than an answer.
CLIENT = httpx.Client(timeout=60)


@contextlib.contextmanager
def script(model: str, environment: Mapping[str, str] = {}):
    """Starts the script; yields its process and the page's address."""
    address = f"http://{try_out.HOST}:{free_port()}/"
    process = subprocess.Popen(
        [
            sys.executable, "-m", "pipelines.try_out", f"--model={model}",
            f"--port={address[:-1].rpartition(':')[2]}",
        ],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, **environment},
    )  # fmt: skip
    try:
        lines = iter(process.stdout.readline, "")
        assert any(f" is at {address} " in line for line in lines)
        yield process, address
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def serve():
    """Returns a function that opens a model and serves its page."""
    pages = []

    def serve(path: str) -> str:
        page = try_out.build_page(bert_tf.load(path))
        pages.append(page)
        return try_out.launch(page, port=free_port())

    yield serve
    for page in pages:
        page.close(verbose=False)


def ask(address: str, *texts, api: str = ANSWER) -> list | str:
    """Asks as a page does; returns what it is to show, or an error's text.

    Args:
        address: of the page.
        *texts: as JSON holds them, half characters too.
    """
    url = f"{address}gradio_api/call{api}"
    body = json.dumps({"data": texts})
    event = CLIENT.post(
        url, content=body, headers={"content-type": "application/json"}
    ).json()["event_id"]
    lines = CLIENT.get(f"{url}/{event}").text.splitlines()
    assert lines[0] in ("event: complete", "event: error"), lines
    answer = json.loads(lines[1].removeprefix("data: "))
    return answer if lines[0] == "event: complete" else answer["error"]


def marked(pieces: list[dict]) -> list[str]:
    return [one["token"] for one in pieces if one["class_or_confidence"]]


def test_answers_as_the_model(task_run, serve):
    address = serve(task_run.model)
    shown = ask(address, *task_run.example)
    row = task_run.example
    row = row if len(row) == 2 else row[0]
    model = bert_tf.load(task_run.model)
    expected = model.predict([row]).iloc[0]
    if task_run.name in ("classification", "windows"):
        chances, words = shown
        assert chances["label"] == expected["label"]
        assert chances["confidences"][0]["confidence"] == pytest.approx(
            expected["score"], abs=1e-6
        )
        # Windows are not explained.
        is_explained = task_run.name == "classification"
        strongest = [
            one["token"] for one in words if one["class_or_confidence"] == 1
        ]
        assert strongest == ["good"] * is_explained
    elif task_run.name == "multi_label":
        assert shown[0] == expected["label"]
        assert {one["label"] for one in shown[1]["confidences"]} == set(
            model.class_names
        )
    elif task_run.name == "regression":
        assert shown[0] == pytest.approx(expected["score"], abs=1e-5)
    elif task_run.name == "token":
        (pieces,) = shown
        assert marked(pieces) == [one["entity"] for one in expected["entities"]]
        text = "".join(one["token"] for one in pieces)
        assert text == task_run.example[0]
    else:
        answer, _, context = shown
        assert answer == expected["answer"]
        assert marked(context) == [answer]

    line = "\t".join(task_run.example)
    (table,) = ask(address, f"{line}\n\n{line}\n", api=ANSWER_MANY)
    assert len(table["data"]) == 2
    assert table["data"][0][: len(task_run.example)] == list(task_run.example)
    assert "_" not in "".join(table["headers"])


@pytest.mark.slow
def test_hostile_texts_are_answered_or_refused(task_run, serve):
    address = serve(task_run.model)
    texts = [text.decode("utf-8", "replace") for text in task_run.hostile[::4]]
    texts += ["\ud800", "<script>alert(1)</script>", '{"a": 1}', " \n", ""]
    for text in texts:
        answer = ask(address, *[text] * len(task_run.example))
        if text.strip():
            assert isinstance(answer, list), (text[:40], answer)
        else:
            assert answer == "Enter a text."
    assert "at most" in ask(address, *["a" * 100_001] * len(task_run.example))


def test_many_texts_that_are_none_or_too_many(trained_task, serve):
    address = serve(trained_task("classification").model)
    assert "0 lines: enter 1 to 1,000" in ask(address, "\n \n", api=ANSWER_MANY)
    assert "1,001 lines" in ask(address, "a\n" * 1001, api=ANSWER_MANY)


def test_pairs_need_a_tab(trained_task, serve):
    address = serve(trained_task("regression").model)
    answer = ask(address, "a\tb\n\nalone", api=ANSWER_MANY)
    assert answer == "Line 3 has no tab between two texts."


def test_explain(trained_task):
    """Of a text of one class, and not of windows or of other tasks."""
    model = bert_tf.load(trained_task("classification").run)
    words = model.explain("the film was good")
    assert [word for word, _ in words] == ["the", "film", "was", "good"]
    assert max(words, key=lambda word: word[1]) == ("good", 1.0)
    with pytest.raises(InputError, match="texts that have one class"):
        bert_tf.load(trained_task("regression").model).explain("a", "b")
    with pytest.raises(InputError, match="not read in windows"):
        bert_tf.load(trained_task("windows").model).explain("good " * 60)


def test_examples(trained_task, tmp_path):
    of_pairs = trained_task("regression")
    exported = try_out.read_examples(bert_tf.load(of_pairs.model))
    assert [len(texts) for texts in exported] == [2, 2]
    of_run = try_out.read_examples(bert_tf.load(of_pairs.run))
    assert [len(texts) for texts in of_run] == [2] * 5
    # A version alone, as people send it to others.
    shutil.copytree(of_pairs.model, tmp_path / "model" / "1")
    assert try_out.read_examples(bert_tf.load(tmp_path / "model")) == []


def test_a_taken_port(trained_task, serve):
    address = serve(trained_task("classification").model)
    port = int(address.rstrip("/").rpartition(":")[2])
    page = try_out.build_page(bert_tf.load(trained_task("classification").run))
    with pytest.raises(InputError, match=f"--port={port} is taken"):
        try_out.launch(page, port=port)


def test_script_without_a_model(tmp_path):
    result = run_script("try_out", f"--model={tmp_path}", status=1)
    assert "holds no SavedModel" in result.stderr


@pytest.mark.slow
def test_script_talks_to_nobody(trained_task, tmp_path):
    """In a process of its own: what it asks of others goes to a proxy."""
    asked = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def __getattr__(self, name):
            if not name.startswith("do_"):
                raise AttributeError(name)
            asked.append(self.path)
            return lambda: self.send_error(502)

    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    at = f"http://127.0.0.1:{proxy.server_port}"
    environment = {
        "http_proxy": at,
        "https_proxy": at,
        "no_proxy": "127.0.0.1,localhost",
        "HOME": str(tmp_path),
    }
    model = trained_task("classification").model
    with script(model, environment) as (process, address):
        assert ask(address, "the film was good")[0]["label"] == "pos"
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
        assert process.returncode == 0, rest
        # Nor a line for each text; oneDNN says something once.
        assert "text from" not in rest
        assert "Traceback" not in rest
    assert asked == []
    proxy.shutdown()


@pytest.fixture(scope="module")
def browser():
    """Debian's chromium, without a screen."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "scheme"),
    [(1280, "light"), (768, "light"), (390, "light"), (390, "dark")],
)
def test_type_click_see(trained_task, serve, browser, width, scheme):
    address = serve(trained_task("classification").model)
    page = browser.new_page(
        viewport={"width": width, "height": 800}, color_scheme=scheme
    )
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(address)
    text = "good film <img src=x onerror=alert(1)>"
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_role("button", name="Answer").first.click()
    sync_api.expect(page.get_by_test_id("label-output-value")).to_have_text(
        re.compile("pos")
    )
    words = page.get_by_test_id("highlighted-text")
    sync_api.expect(words).to_contain_text(re.compile(r"good\s+film"))
    # Nothing hangs over the edge.
    assert page.evaluate("document.body.scrollWidth") <= width

    page.get_by_role("tab", name="Many texts").click()
    page.get_by_label("One a line").fill(f"{text}\nthe awful film")
    page.get_by_role("button", name="Answer").last.click()
    for cell in ("neg", text):
        cell = page.get_by_role("gridcell", name=cell).first
        sync_api.expect(cell).to_be_visible()
    assert page.locator("img[src='x']").count() == 0
    assert said == []
    others = [
        url for url in asked if not url.startswith((address, "data:", "blob:"))
    ]
    assert asked and others == []
    page.close()


@pytest.mark.slow
def test_1000_requests_of_four_callers(trained_task, full):
    """One in twenty is hostile; none fails, and memory does not grow.

    By itself, without any model, Gradio grows by 30 kB a request for the first
    2,500; those come first with --full.
    """
    settle = 3_000 if full else 300
    hostile = [text.decode("utf-8", "replace") for text in SHORTER]
    hostile = [text for text in hostile if text.strip()]

    def call(number: int) -> None:
        if number % 20:
            word = "good" if number % 2 else "awful"
            (chances, _) = ask(address, f"the film was {word} x")
            assert chances["label"] == ("pos" if number % 2 else "neg")
        else:
            answer = ask(address, hostile[number // 20 % len(hostile)])
            assert isinstance(answer, list), answer

    with (
        script(trained_task("classification").model) as (process, address),
        concurrent.futures.ThreadPoolExecutor(4) as pool,
    ):
        memory = psutil.Process(process.pid).memory_info
        list(pool.map(call, range(settle)))
        before = memory().rss
        list(pool.map(call, range(1_000)))
        assert memory().rss < 1.04 * before
