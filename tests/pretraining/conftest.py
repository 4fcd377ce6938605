import os

import keras
import numpy as np
import pytest

from bert_tf.config.pretraining import PretrainConfig
from bert_tf.pretraining import budget
from tests.conftest import TOKENS, WORDS, tiny_backbone


def raw_text(documents=60, seed=1) -> str:
    """Documents that keep to a subject, of sentences with an order."""
    generator = np.random.default_rng(seed)
    lines = []
    for number in range(documents):
        noun = ("film", "movie", "story", "plot")[number % 4]
        for _ in range(generator.integers(3, 8)):
            words = generator.choice(WORDS[:8], 3)
            lines.append(f"the {noun} was {words[0]} , {words[1]} .")
        lines.append("")
    return "\n".join(lines)


@pytest.fixture
def text_file(tmp_path) -> str:
    path = tmp_path / "raw.txt"
    path.write_text(raw_text(), encoding="utf-8")
    return str(path)


@pytest.fixture
def vocab_file(tmp_path) -> str:
    folder = tmp_path / "vocabulary"
    folder.mkdir()
    path = folder / "vocab.txt"
    path.write_text("".join(f"{token}\n" for token in TOKENS))
    return str(path)


@pytest.fixture
def pretrain_config(tmp_path, text_file, vocab_file, monkeypatch):
    """Builds the settings of a pretraining that takes seconds."""
    # The device is measured in 10 ms instead of a second.
    monkeypatch.setitem(budget._SIDE, "CPU", 256)

    def build(**changes) -> PretrainConfig:
        settings = {
            "train_file": (text_file,),
            "output_dir": str(tmp_path / "language"),
            "vocab_file": vocab_file,
            "num_layers": 2,
            "hidden_size": 32,
            "num_attention_heads": 2,
            "validation_split": 0.2,
            "max_seq_length": 32,
            "train_batch_size": 16,
            "eval_batch_size": 16,
            "dropout": 0.0,
        }
        if not {"max_steps", "num_train_epochs", "time_budget"} & set(changes):
            settings["max_steps"] = 6
        return PretrainConfig(**{**settings, **changes})

    return build


@pytest.fixture(scope="session")
def headless_preset(tmp_path_factory) -> str:
    """A KerasNLP preset folder without a head for masked words."""
    keras.utils.set_random_seed(2)
    folder = str(tmp_path_factory.mktemp("headless"))
    tiny_backbone().save_to_preset(folder)
    keras_nlp_tokenizer(folder)
    return folder


def keras_nlp_tokenizer(folder: str) -> None:
    import keras_nlp

    keras_nlp.models.BertTokenizer(list(TOKENS), lowercase=True).save_to_preset(
        folder
    )
    assert os.path.exists(os.path.join(folder, "tokenizer.json"))
