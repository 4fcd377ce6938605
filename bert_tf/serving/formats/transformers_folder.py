"""Writes a run as a Transformers folder: config.json and weights.

Transformers has no head on the mean over the tokens; there the folder is one
of sentence-transformers: the encoder, the pooling, and the head as a dense
layer of its own.
"""

import os
from collections.abc import Callable, Mapping

import numpy as np
import safetensors.numpy

from bert_tf import run_dir
from bert_tf.errors import InputError
from bert_tf.inference.loaded_run import LoadedRun
from bert_tf.models import classifier
from bert_tf.presets import transformers
from bert_tf.serving.formats import (
    transformers_tokenizer,
    transformers_weights,
)

# What the classes of Transformers are called, by config.json's model_type.
_PREFIXES = {
    "bert": "Bert",
    "electra": "Electra",
    "roberta": "Roberta",
    "albert": "Albert",
}
_TEXT_HEAD = "ForSequenceClassification"
_HEADS = {"token": "ForTokenClassification", "span": "ForQuestionAnswering"}
_PROBLEM_TYPES = {
    "classification": "single_label_classification",
    "multi_label": "multi_label_classification",
    "regression": "regression",
}
_POOLING, _DENSE = "1_Pooling", "2_Dense"
TOKENIZER = transformers_tokenizer.COMPARED
# The names by which all versions of sentence-transformers find its modules.
_MODULES = "sentence_transformers.models"


def check(run: LoadedRun) -> None:
    """Raises InputError where Transformers has no such model."""
    is_electra = _kind(run) == "electra"
    if is_electra and not run.task.is_per_token and not _is_mean(run):
        raise InputError(
            "--format=transformers: its ELECTRA has GELU before the head on "
            "[CLS] where this one has tanh; train with --pooling=mean for a "
            "folder of sentence-transformers"
        )


def packages(run: LoadedRun) -> tuple[str, ...]:
    """Returns what `load` needs beside this project's own packages."""
    of_mean = ("sentence_transformers",) if _is_mean(run) else ()
    return ("torch", "transformers", *of_mean)


def usage(folder: str, run: LoadedRun) -> str:
    """Returns lines of Python that load the folder."""
    texts = '"a text", "another"' if run.has_pairs else '"a text"'
    if _is_mean(run):
        return f"""from sentence_transformers import SentenceTransformer

model = SentenceTransformer("{folder}")
logits = model.encode([{f"({texts})" if run.has_pairs else texts}])"""
    names = f"AutoModel{_head(run)}, AutoTokenizer"
    return f"""from transformers import {names}

tokenizer = AutoTokenizer.from_pretrained("{folder}")
model = AutoModel{_head(run)}.from_pretrained("{folder}")
inputs = tokenizer({texts}, return_tensors="pt", truncation=True)
outputs = model(**inputs)"""


def write(folder: str, run: LoadedRun) -> None:
    """Writes everything but README.md into an empty folder."""
    backbone = classifier.backbone_of(run.model)
    vocabulary = run.preprocessor.vocabulary
    padding = vocabulary.special_ids.padding
    config = {
        "architectures": [_PREFIXES[_kind(run)] + _head(run)],
        **transformers_weights.config_of(backbone, padding),
        "hidden_dropout_prob": run.config.dropout,
        "attention_probs_dropout_prob": run.config.dropout,
        "classifier_dropout": run.config.dropout,
        **_describe_head(run),
        "dtype": "float32",
    }
    if _kind(run) == "albert":
        config["classifier_dropout_prob"] = config.pop("classifier_dropout")
    run_dir.write_json(os.path.join(folder, "config.json"), config)
    tensors = transformers_weights.tensors_of(backbone, padding)
    if _is_mean(run):
        _write_modules(folder, run)
    else:
        tensors = {f"{_kind(run)}.{key}": tensors[key] for key in tensors}
        tensors |= _head_tensors(run)
    _write_tensors(os.path.join(folder, transformers.WEIGHTS), tensors)
    transformers_tokenizer.write(
        folder, vocabulary, max_length=run.config.max_seq_length
    )


def load(folder: str, run: LoadedRun) -> Callable[[dict], np.ndarray]:
    """Returns a function from features to logits, of the library's own model.

    Features and logits are those of `classifier.classify`, as arrays.
    """
    import torch

    is_mean, has_segments = _is_mean(run), _kind(run) != "roberta"
    if is_mean:
        import sentence_transformers

        model = sentence_transformers.SentenceTransformer(folder, device="cpu")
    else:
        import transformers as library

        build = getattr(library, f"AutoModel{_head(run)}")
        model = build.from_pretrained(folder)
    model.eval()

    def logits(features: Mapping[str, np.ndarray]) -> np.ndarray:
        names = {"token_ids": "input_ids", "padding_mask": "attention_mask"}
        if has_segments:
            names["segment_ids"] = "token_type_ids"
        inputs = {
            name: torch.tensor(features[key], dtype=torch.long)
            for key, name in names.items()
        }
        with torch.no_grad():
            if is_mean:
                return model(inputs)["sentence_embedding"].numpy()
            outputs = model(**inputs)
        if run.task.name == "span":
            sides = outputs.start_logits, outputs.end_logits
            return torch.stack(sides, dim=-1).numpy()
        return outputs.logits.numpy()

    return logits


def _kind(run: LoadedRun) -> str:
    return transformers_weights.kind_of(classifier.backbone_of(run.model))


def _is_mean(run: LoadedRun) -> bool:
    is_mean = classifier.pooling_of(run.model) == classifier.MEAN
    return is_mean and not run.task.is_per_token


def _head(run: LoadedRun) -> str:
    if _is_mean(run):
        return "Model"
    return _HEADS.get(run.task.name, _TEXT_HEAD)


def _describe_head(run: LoadedRun) -> dict:
    """Returns what config.json says of the classes."""
    names = run.task.class_names or ("score",)
    if run.task.name == "span":
        return {}
    described = {
        "id2label": {str(i): name for i, name in enumerate(names)},
        "label2id": {name: i for i, name in enumerate(names)},
    }
    if run.task.name in _PROBLEM_TYPES:
        described["problem_type"] = _PROBLEM_TYPES[run.task.name]
    return described


def _head_tensors(run: LoadedRun) -> dict[str, np.ndarray]:
    """Returns the head's weights by Transformers' names."""
    logits = run.model.get_layer("logits")
    if run.task.name == "span":
        layers = {"qa_outputs": logits}
    elif _kind(run) == "roberta" and not run.task.is_per_token:
        layers = {
            "classifier.dense": classifier.pooler_of(run.model),
            "classifier.out_proj": logits,
        }
    else:
        layers = {"classifier": logits}
    return {
        f"{name}.{part}": transformers_weights.as_pytorch(
            f"{name}.{part}", np.asarray(value)
        )
        for name, layer in layers.items()
        for part, value in (("weight", layer.kernel), ("bias", layer.bias))
    }


def _write_modules(folder: str, run: LoadedRun) -> None:
    """Writes pooling and head as modules of sentence-transformers."""
    head, width = run.model.get_layer("logits"), run.task.num_outputs
    modules = (("Transformer", ""), ("Pooling", _POOLING), ("Dense", _DENSE))
    run_dir.write_json(
        os.path.join(folder, "modules.json"),
        [
            {
                "idx": number,
                "name": str(number),
                "path": path,
                "type": f"{_MODULES}.{name}",
            }
            for number, (name, path) in enumerate(modules)
        ],
    )
    run_dir.write_json(
        os.path.join(folder, "sentence_bert_config.json"),
        {"max_seq_length": run.config.max_seq_length, "do_lower_case": False},
    )
    hidden = classifier.backbone_of(run.model).hidden_dim
    for name in (_POOLING, _DENSE):
        os.makedirs(os.path.join(folder, name))
    run_dir.write_json(
        os.path.join(folder, _POOLING, "config.json"),
        {
            "word_embedding_dimension": hidden,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
    )
    run_dir.write_json(
        os.path.join(folder, _DENSE, "config.json"),
        {
            "in_features": hidden,
            "out_features": width,
            "bias": True,
            "activation_function": "torch.nn.modules.linear.Identity",
        },
    )
    _write_tensors(
        os.path.join(folder, _DENSE, transformers.WEIGHTS),
        {
            "linear.weight": transformers_weights.as_pytorch(
                "linear.weight", np.asarray(head.kernel)
            ),
            "linear.bias": np.asarray(head.bias),
        },
    )


def _write_tensors(path: str, tensors: Mapping[str, np.ndarray]) -> None:
    # Transformers asks for the metadata.
    safetensors.numpy.save_file(dict(tensors), path, {"format": "pt"})
