"""A Transformers pipeline, PyTorch sorted by length, and ONNX Runtime.

All from raw strings, with the checkpoint's own tokenizer.
"""

import os
import tempfile
from collections.abc import Callable

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer

from benchmarks.contestants.turns import Turns, predict_by_turns


def main() -> None:
    """Predicts when it is told to."""
    turns = Turns()
    settings = turns.settings
    torch.set_num_threads(settings["threads"])
    torch.set_grad_enabled(False)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        settings["model_folder"], num_labels=settings["num_classes"]
    ).eval()
    build = {
        "pipeline": build_pipeline,
        "eager": build_eager,
        "onnx": build_onnx,
    }[settings["way"]]
    predict_by_turns(turns, build(model, settings))


def build_pipeline(model, settings: dict) -> Callable[[list[str]], object]:
    """Returns the pipeline of Transformers' documentation."""
    classify = transformers.pipeline(
        "text-classification",
        model=model,
        tokenizer=transformers.AutoTokenizer.from_pretrained(
            settings["model_folder"]
        ),
        device="cpu",
    )
    return lambda texts: classify(
        texts, batch_size=settings["batch_size"], truncation=True
    )


def build_eager(model, settings: dict) -> Callable[[list[str]], object]:
    """Returns PyTorch's model on batches of texts sorted by length."""

    def run(ids, mask, segments):
        return model(
            input_ids=torch.from_numpy(ids),
            attention_mask=torch.from_numpy(mask),
            token_type_ids=torch.from_numpy(segments),
        ).logits.numpy()

    return _sorted_by_length(run, settings)


def build_onnx(model, settings: dict) -> Callable[[list[str]], object]:
    """Returns ONNX Runtime, float32, on batches of texts sorted by length."""
    import onnxruntime

    names = ["input_ids", "attention_mask", "token_type_ids"]
    example = {name: torch.ones([2, 8], dtype=torch.int64) for name in names}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        torch.onnx.export(
            model, (), path, kwargs=example, input_names=names,
            output_names=["logits"], dynamo=False,
            dynamic_axes={name: {0: "batch", 1: "length"} for name in names},
        )  # fmt: skip
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = settings["threads"]
        session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )

    def run(*inputs):
        return session.run(None, dict(zip(names, inputs, strict=True)))[0]

    return _sorted_by_length(run, settings)


def _sorted_by_length(run: Callable, settings: dict):
    tokenizer = Tokenizer.from_file(
        os.path.join(settings["model_folder"], "tokenizer.json")
    )
    tokenizer.enable_truncation(128)
    tokenizer.no_padding()

    def predict(texts: list[str]) -> np.ndarray:
        encoded = tokenizer.encode_batch(texts)
        order = np.argsort([-len(one.ids) for one in encoded], kind="stable")
        logits = np.empty([len(texts), settings["num_classes"]], np.float32)
        size = settings["batch_size"]
        for rows in np.split(order, range(size, len(order), size)):
            batch = [encoded[row] for row in rows]
            length = len(batch[0].ids)
            inputs = np.zeros([3, len(rows), length], np.int64)
            for row, one in enumerate(batch):
                inputs[0, row, : len(one.ids)] = one.ids
                inputs[1, row, : len(one.ids)] = 1
                inputs[2, row, : len(one.ids)] = one.type_ids
            logits[rows] = run(*inputs)
        return logits

    return predict


if __name__ == "__main__":
    main()
