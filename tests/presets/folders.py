"""Transformers folders of tiny models with random weights."""

import io
import json

import numpy as np
import safetensors.numpy
import sentencepiece

from bert_tf.presets import transformers
from tests.conftest import TOKENS, review_rows
from tests.models.encoder_test import disturb
from tests.text.byte_pairs_test import trained_bpe, write_files

_SHAPE = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 64, "max_position_embeddings": 32,
    "hidden_act": "gelu", "type_vocab_size": 2,
}  # fmt: skip
CONFIGS = {
    "distilbert": {
        "model_type": "distilbert", "dim": 32, "n_layers": 2, "n_heads": 2,
        "hidden_dim": 64, "max_position_embeddings": 32, "activation": "gelu",
    },
    "electra": {**_SHAPE, "model_type": "electra", "embedding_size": 32},
    "narrow electra": {**_SHAPE, "model_type": "electra", "embedding_size": 16},
    "roberta": {
        **_SHAPE, "model_type": "roberta", "max_position_embeddings": 34,
        "type_vocab_size": 1, "pad_token_id": 1, "layer_norm_eps": 1e-5,
    },
    "albert": {
        **_SHAPE, "model_type": "albert", "embedding_size": 16,
        "num_hidden_layers": 4, "num_hidden_groups": 2, "inner_group_num": 1,
    },
}  # fmt: skip


def write_folder(name, path):
    """Writes a folder; returns the backbone that its weights are of."""
    path.mkdir()
    kind = CONFIGS[name]["model_type"]
    rows = _VOCABULARIES.get(kind, write_word_pieces)(path)
    config = {**CONFIGS[name], "vocab_size": rows}
    (path / "config.json").write_text(json.dumps(config))
    build = transformers.backbone_class(config)
    backbone = disturb(build(**transformers.backbone_settings(config)))
    if kind == "distilbert":
        table = backbone.segment_embedding.embeddings
        table.assign(np.zeros(table.shape))
    tensors = {
        tensor: as_pytorch(tensor, np.asarray(variable))
        for tensor, variable in transformers.named_variables(backbone, kind)
    }
    if kind == "roberta":
        # Those before are of padding, and each token is of the one segment.
        segment = np.full([1, 32], 0.5, np.float32)
        name = "embeddings.position_embeddings.weight"
        tensors[name] = np.pad(tensors[name] - segment, [(2, 0), (0, 0)])
        tensors["embeddings.token_type_embeddings.weight"] = segment
    safetensors.numpy.save_file(
        {f"{kind}.{tensor}": value for tensor, value in tensors.items()},
        str(path / "model.safetensors"),
    )
    return backbone


def as_pytorch(name, value):
    """Rows are outputs there, and heads have no axis of their own."""
    if name.endswith(".bias"):
        return value.ravel()
    if name.startswith("embeddings.") or value.ndim == 1:
        return value
    wide = value.reshape(value.shape[0] if value.shape[0] > 2 else 32, -1)
    return np.ascontiguousarray(wide.T)


def write_word_pieces(path) -> int:
    (path / "vocab.txt").write_text("".join(f"{token}\n" for token in TOKENS))
    return len(TOKENS)


def write_byte_pairs(path) -> int:
    reference = trained_bpe()
    write_files(reference, path)
    return reference.get_vocab_size()


def write_sentence_pieces(path) -> int:
    model = sentence_piece_model()
    (path / "spiece.model").write_bytes(model)
    return sentencepiece.SentencePieceProcessor(model_proto=model).vocab_size()


_VOCABULARIES = {
    "roberta": write_byte_pairs, "albert": write_sentence_pieces
}  # fmt: skip


def sentence_piece_model() -> bytes:
    """A model with ALBERT's special tokens, trained in an instant."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([text for text, _ in review_rows(200)]),
        model_writer=model,
        vocab_size=80,
        hard_vocab_limit=False,
        pad_id=0, unk_id=1, bos_id=-1, eos_id=-1,
        pad_piece="<pad>", unk_piece="<unk>",
        control_symbols=["[CLS]", "[SEP]", "[MASK]"],
        minloglevel=2,
    )  # fmt: skip
    return model.getvalue()
