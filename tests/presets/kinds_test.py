"""RoBERTa and ALBERT: their tokens, their KerasNLP folders, their limits."""

import dataclasses
import os

import keras_nlp
import numpy as np
import pytest
import tensorflow as tf

from bert_tf.config.distillation import student_config
from bert_tf.data import tfrecord_writer, tfrecords
from bert_tf.distillation import distill
from bert_tf.errors import InputError
from bert_tf.evaluation import error_analysis
from bert_tf.evaluation.attribution import Explanation
from bert_tf.inference.embeddings import Embedder
from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from bert_tf.models import backbones
from bert_tf.presets import presets
from bert_tf.pretraining.fill_mask import MaskFiller
from bert_tf.serving.export import export
from bert_tf.text import tokenizers
from bert_tf.text import vocabulary as vocabulary_lib
from bert_tf.text.preprocessor import Preprocessor
from bert_tf.training.train import train_files as train
from tests.conftest import write_csv
from tests.presets.folders import write_folder
from tests.tasks import files
from tests.text.byte_pairs_test import TEXTS, trained_bpe
from tests.training.finetuning_test import Weights, check_last_layer

KINDS = ("roberta", "albert")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("kinds")
    for kind in KINDS:
        write_folder(kind, root / kind)
    return root


def packed(vocabulary, length, *texts):
    """Returns tokens, segments and mask of one text or pair."""
    preprocessor = Preprocessor(vocabulary, sequence_length=length)
    features = tf.function(lambda *t: preprocessor(t))(
        *(tf.constant([text]) for text in texts)
    )
    ids, segments, mask = (
        features[name][0].numpy().tolist()
        for name in ("token_ids", "segment_ids", "padding_mask")
    )
    return [vocabulary.tokens[i] for i in ids], segments, mask


def test_roberta_packs_pairs_with_two_separators(folders):
    vocabulary = presets.resolve(str(folders / "roberta")).vocabulary
    assert vocabulary.special_ids.padding == 1
    tokens, segments, mask = packed(vocabulary, 16, "a film", "a story")
    second = tokens.index("</s>") + 2
    assert tokens[0] == "<s>" and tokens[second - 2 : second] == ["</s>"] * 2
    assert tokens[-1] == "</s>" and tokens.count("</s>") == 3
    assert segments == [0] * second + [1] * (len(tokens) - second)
    assert mask == [1] * len(tokens)
    short, *_ = packed(vocabulary, 6, "a film story", "a film story")
    assert len(short) == 6 and short.count("</s>") == 3


def test_albert_takes_texts_as_its_own_tokenizer_does(folders):
    vocabulary = presets.resolve(str(folders / "albert")).vocabulary
    tokens, *_ = packed(vocabulary, 16, "The  FÍLM")
    assert tokens == packed(vocabulary, 16, "the film")[0]
    assert tokens[0] == "[CLS]" and tokens[-1] == "[SEP]"
    assert "[SEP]" not in packed(vocabulary, 32, "a [SEP]")[0][1:-1]
    cased = dataclasses.replace(vocabulary, lowercase=False)
    assert "<unk>" in packed(cased, 16, "FILM")[0]


@pytest.mark.parametrize("kind", KINDS)
def test_words_that_people_can_read(kind, folders):
    vocabulary = presets.resolve(str(folders / kind)).vocabulary
    names = dict(
        zip(
            vocabulary.tokens,
            tokenizers.readable_tokens(vocabulary),
            strict=True,
        )
    )
    pieces, *_ = packed(vocabulary, 64, TEXTS[0].lower(), "a film")
    words = error_analysis._words(
        Explanation(
            tuple(names[piece] for piece in pieces),
            (0.0,) * len(pieces),
            np.zeros(2),
        )
    )
    if kind == "roberta":
        # Its spaces are its words' beginnings.
        expected = [*TEXTS[0].lower().split(), "|", "a", "film"]
        assert [word.text for word in words] == expected
    assert [word.text for word in words].count("|") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_vocabulary_round_trip(kind, folders, tmp_path):
    vocabulary = presets.resolve(str(folders / kind)).vocabulary
    vocabulary_lib.write_vocabulary(str(tmp_path), vocabulary)
    assert vocabulary_lib.read_vocabulary(str(tmp_path)) == vocabulary


@pytest.mark.parametrize("kind", KINDS)
def test_keras_folders(kind, folders, tmp_path):
    found = presets.resolve(str(folders / kind))
    folder = str(tmp_path / "keras")
    backbone = found.build_backbone(dropout=0.0, dtype="float32")
    backbone.save_to_preset(folder)
    if kind == "roberta":
        tokenizer = keras_nlp.models.RobertaTokenizer(
            {token: i for i, token in enumerate(found.vocabulary.tokens)},
            found.vocabulary.model.decode().splitlines()[1:],
        )
    else:
        tokenizer = keras_nlp.models.AlbertTokenizer(found.vocabulary.model)
    tokenizer.save_to_preset(folder)
    again = presets.resolve(folder)
    assert again.vocabulary.tokens == found.vocabulary.tokens
    assert again.max_positions == found.max_positions == 32
    assert packed(again.vocabulary, 16, "a film") == packed(
        found.vocabulary, 16, "a film"
    )
    texts = ["the film was good", "a story"]
    np.testing.assert_allclose(
        *(
            Embedder(
                dataclasses.replace(preset, exact_gelu=True), max_seq_length=16
            )(texts)
            for preset in (found, again)
        ),
        atol=1e-6,
    )


@pytest.mark.slow
def test_shared_layers_are_exported_once(folders, tiny_config, tmp_path):
    train(
        tiny_config(
            preset=str(folders / "albert"), num_train_epochs=1, lora_rank=2
        )
    )
    model = export(
        str(tmp_path / "run"), name="m", models_dir=str(tmp_path / "models")
    )
    saved = tf.train.list_variables(
        os.path.join(model, "variables", "variables")
    )
    # Of two groups for four layers.
    assert [shape for _, shape in saved].count([64, 32]) == 2


def test_size_counts_shared_layers_as_often_as_they_are_used(folders):
    sizes = {
        kind: presets.resolve(str(folders / kind)).build_backbone(
            dropout=0.0, dtype="float32"
        )
        for kind in KINDS
    }
    for kind, backbone in sizes.items():
        shared = 2 if kind == "albert" else 0
        layer = backbones.encoder_layers(backbone)[0].count_params()
        expected = backbone.count_params() + shared * layer
        assert backbones.unshared_size(backbone) == expected


@pytest.mark.parametrize(
    ("task", "kind"),
    [("regression", "roberta"), ("multi_label", "albert")],
)
@pytest.mark.slow
def test_other_tasks_of_pairs(kind, task, folders, tiny_config, tmp_path):
    rows = [
        (f"{word} film", f"story {number}", label)
        for number in range(20)
        for word, label in (("good", "0.9"), ("bad", "0.1"))
    ]
    path = write_csv(tmp_path / "rows.csv", rows, "text_a,text_b,label")
    train(
        tiny_config(
            train_file=(path,),
            task=task,
            preset=str(folders / kind),
            num_train_epochs=1,
        )
    )
    model = export(
        str(tmp_path / "run"), name="m", models_dir=str(tmp_path / "models")
    )
    answers = SavedModelPredictor(model).probabilities(
        (["a film"], ["a story"])
    )
    assert np.isfinite(answers).all()


@pytest.mark.slow
def test_records(folders, tiny_config, review_file, tmp_path):
    preset = presets.resolve(str(folders / "roberta"))
    records = str(tmp_path / "records")
    tfrecord_writer.create_records(
        [review_file],
        records,
        preprocessor=Preprocessor(preset.vocabulary, sequence_length=16),
        preset="roberta",
        shards=2,
    )
    with pytest.raises(InputError, match="another vocabulary"):
        tfrecords.open_records(records, max_seq_length=16).check_vocabulary(
            presets.resolve(str(folders / "albert")).vocabulary
        )
    metrics = train(
        tiny_config(
            train_file=(records,),
            validation_file=(review_file,),
            preset=preset.name,
            num_train_epochs=1,
        )
    )
    assert np.isfinite(metrics["eval_loss"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": "token"}, "needs to know where in a text"),
        ({"task": "span"}, "needs to know where in a text"),
        ({"max_seq_length": 64}, "beyond the 32 positions"),
    ],
)
def test_what_cannot_be_done(
    kind, changes, words, folders, tiny_config, tmp_path
):
    # Files that the tasks take.
    if changes.get("task") == "token":
        path = files.write_conll(tmp_path / "t.conll", files.sentences(20))
        changes = {**changes, "train_file": (path,)}
    if changes.get("task") == "span":
        path = files.write_squad(tmp_path / "t.json", files.questions(20))
        changes = {**changes, "train_file": (path,)}
    with pytest.raises(InputError, match=words):
        train(tiny_config(preset=str(folders / kind), **changes))


@pytest.mark.parametrize(
    "changes",
    [{"trainable_layers": "last:1"}, {"layerwise_learning_rate_decay": 0.9}],
)
def test_shared_layers_are_not_told_apart(changes, folders, tiny_config):
    with pytest.raises(InputError, match="share their weights"):
        train(tiny_config(preset=str(folders / "albert"), **changes))


def test_parts_of_a_roberta_are_trained(folders, tiny_config, tmp_path):
    noted = Weights()
    train(
        tiny_config(
            preset=str(folders / "roberta"),
            num_train_epochs=1,
            learning_rate=1e-3,
            warmup_proportion=0.0,
            head_init="random",
            calibrate=False,
            trainable_layers="last:1",
            layerwise_learning_rate_decay=0.5,
        ),
        callbacks=[noted],
    )
    check_last_layer(noted, tmp_path / "run", rate=1e-3, decay=0.5)
    with pytest.raises(InputError, match="distillation takes BertBackbone"):
        distill.distill(
            str(tmp_path / "run"),
            student_config(
                str(tmp_path / "run"), output_dir=str(tmp_path / "student")
            ),
        )


@pytest.mark.parametrize("kind", KINDS)
def test_masks_are_not_filled(kind, folders):
    with pytest.raises(InputError, match="filling masks takes BertBackbone"):
        MaskFiller(str(folders / kind))


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("roberta", "vocab.json"),
        ("roberta", "merges.txt"),
        ("albert", "spiece.model"),
    ],
)
def test_missing_files(kind, file, tmp_path):
    write_folder(kind, tmp_path / kind)
    (tmp_path / kind / file).unlink()
    with pytest.raises(InputError, match=f"the folder has no {file}"):
        presets.resolve(str(tmp_path / kind))


def test_one_file_of_byte_pairs(folders, tmp_path):
    write_folder("roberta", tmp_path / "roberta")
    for file in ("vocab.json", "merges.txt"):
        (tmp_path / "roberta" / file).unlink()
    trained_bpe().save(str(tmp_path / "roberta" / "tokenizer.json"))
    found, expected = (
        presets.resolve(str(root / "roberta")).vocabulary
        for root in (tmp_path, folders)
    )
    assert found.tokens == expected.tokens
    text = TEXTS[0]
    assert packed(found, 32, text) == packed(expected, 32, text)


def test_damaged_sentence_pieces(tmp_path):
    write_folder("albert", tmp_path / "albert")
    (tmp_path / "albert" / "spiece.model").write_bytes(b"none")
    with pytest.raises(InputError, match="is no SentencePiece model"):
        presets.resolve(str(tmp_path / "albert"))
