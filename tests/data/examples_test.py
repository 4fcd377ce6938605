import pytest

from bert_tf.data import examples
from bert_tf.errors import InputError


def test_empty_texts_are_counted_and_named(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("text,label\na,x\n  ,y\nb,x\n,y\n")
    with pytest.raises(InputError) as error:
        examples.read_examples([str(path)])
    assert str(error.value) == (
        f'2 of 4 rows of {path} have an empty text in column "text" '
        "(lines 3, 5); remove or fill them, or pass --drop_incomplete to leave "
        "them out"
    )


def test_missing_labels_are_named(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text('{"text": "a", "label": 1}\n{"text": "b", "label": null}\n')
    with pytest.raises(InputError, match=r"1 of 2 rows .* no label .*lines 2"):
        examples.read_examples([str(path)])


def test_header_only(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("text,label\n")
    with pytest.raises(InputError, match="a header and no rows"):
        examples.read_examples([str(path)])


def test_several_files_share_columns(tmp_path):
    (tmp_path / "a.csv").write_text("text_a,text_b,label\np,q,1\n")
    (tmp_path / "b.jsonl").write_text(
        '{"label": 0, "text_b": "s", "text_a": "r"}\n'
    )
    frame, columns = examples.read_examples(
        [str(tmp_path / "a.csv"), str(tmp_path / "b.jsonl")]
    )
    assert columns.text_pair == "text_b"
    assert examples.segments(frame) == (["p", "r"], ["q", "s"])
    assert list(frame["label"]) == ["1", "0"]


def test_sample_is_seeded_and_keeps_order(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"t{i},x\n" for i in range(50)))
    frame, _ = examples.read_examples([str(path)])
    one, two = (examples.sample(frame, 10, seed=3) for _ in range(2))
    assert list(one["line"]) == list(two["line"]) == sorted(one["line"])
    assert examples.sample(frame, None, seed=3) is frame
