"""What an exported model answers: text in, answers out."""

import tensorflow as tf

from bert_tf.inference.inputs import TOKEN_INPUTS, text_inputs
from bert_tf.inference.loaded_run import LoadedRun
from bert_tf.models import classifier
from bert_tf.serving import windows
from bert_tf.tasks import head, pooling
from bert_tf.tasks.task import Task

# Of the signatures that every task has.
_TOKENS = (
    "As serving_default, for texts that were tokenized elsewhere: rows start "
    "with [CLS], end with [SEP], or what the model has for them, and are "
    "padded to one length."
)
_TOKENIZE = "The inputs of `tokens` for each text."
_PLACES = (
    " And the place of each token: its first character, the one after its "
    "last, and 1 where a word starts."
)
_OWNERS = " Of each row, `owners` names the text it is a window of, from 0."
_EMBED = (
    "What the last layer sees of each text: BERT's pooled output, fine-tuned."
)


def descriptions(task: Task) -> dict[str, str]:
    """Returns what each signature is for, in the order to read of them."""
    found = {name: text for name, (text, _) in task.signatures().items()}
    found["tokens"] = _TOKENS
    found["tokenize"] = _TOKENIZE + (_PLACES if task.with_places else "")
    if task.stride is not None:
        found["tokenize"] += _OWNERS
    if not task.is_per_token:
        found["embed"] = _EMBED
    return found


class ServingModule(tf.Module):
    """Holds a trained model's weights, each once, and its signatures.

    `functions` are the concrete functions by signature name.

    `tf.saved_model.save` writes what hangs on this object. The Keras model
    does not: it would store every weight a second time. The weights are
    joined and cast here, so that no request does it again.
    """

    def __init__(self, trained: LoadedRun):
        super().__init__()
        weights = classifier.classifier_weights(trained.model)
        # Layers may share theirs.
        held = {
            id(weight): tf.Variable(weight, trainable=False)
            for weight in tf.nest.flatten(weights)
        }
        weights = tf.nest.map_structure(
            lambda weight: held[id(weight)], weights
        )
        self.weights = list(held.values())
        self.tokenizer_resource = trained.preprocessor.resource
        inputs = text_inputs(
            has_pairs=trained.has_pairs,
            has_windows=trained.task.stride is not None,
        )
        text_spec = [
            tf.TensorSpec([None], tf.string, name=name) for name in inputs
        ]
        token_spec = [
            tf.TensorSpec([None, None], tf.int32, name=name)
            for name in TOKEN_INPUTS
        ]
        # No `tf.function` hangs on this object: saving would trace it again.
        self.functions = {
            name: tf.function(
                body,
                input_signature=token_spec if name == "tokens" else text_spec,
            ).get_concrete_function()
            for name, body in _build_bodies(trained, weights).items()
        }


def _build_bodies(
    trained: LoadedRun, weights: classifier.ClassifierWeights
) -> dict:
    """Returns a Python function for each signature."""
    task = trained.task

    # Functions of their own, so that the graph holds one vocabulary and one
    # model, not one for each signature.
    preprocess = tf.function(
        lambda *texts: _preprocess(trained, texts), autograph=False
    )
    run = tf.function(
        lambda features: head.compute(
            task,
            trained.model,
            features,
            weights=tf.nest.map_structure(tf.convert_to_tensor, weights),
        ),
        input_signature=[
            {
                name: tf.TensorSpec([None, None], tf.int32)
                for name in ("token_ids", "padding_mask", "segment_ids")
            }
        ],
        autograph=False,
    )

    def outputs(features):
        places = {}
        if task.with_places:
            places = {"places": features["places"]}
        features = {
            name: value for name, value in features.items() if name != "places"
        }
        return {**run(features), **places}

    if task.with_places and task.stride is not None:
        in_windows, specs = task.in_windows, task.window_specs
    else:
        backbone = classifier.backbone_of(trained.model)
        widths = {
            task.predicted: task.num_outputs,
            "embedding": backbone.hidden_dim,
        }
        specs = {
            name: tf.TensorSpec([None, width], tf.float32)
            for name, width in widths.items()
        }

        def in_windows(outputs):
            return {name: outputs[name] for name in specs}

    def answering(answer):
        def body(*texts):
            features = preprocess(*texts)
            text = {"text": texts[-1]} if task.with_places else {}
            if task.stride is None:
                return answer({**outputs(features), **text})
            owners = features.pop("owners")
            kept = windows.run_in_pieces(
                lambda piece: in_windows(outputs(piece)), features, specs
            )
            if task.with_places:
                return answer({**kept, **text, "owners": owners})
            return answer(pooling.pool(task, kept, owners))

        return body

    def tokens(input_word_ids, input_mask, input_type_ids):
        outputs = run(
            {
                "token_ids": input_word_ids,
                "padding_mask": input_mask,
                "segment_ids": input_type_ids,
            }
        )
        return {name: outputs[name] for name in ("logits", task.predicted)}

    def tokenize(*texts):
        features = preprocess(*texts)
        more = {
            name: features[name]
            for name in ("places", "owners")
            if name in features
        }
        return {
            "input_word_ids": features["token_ids"],
            "input_mask": features["padding_mask"],
            "input_type_ids": features["segment_ids"],
            **more,
        }

    bodies = {
        name: answering(answer)
        for name, (_, answer) in task.signatures().items()
    }
    bodies.update(tokens=tokens, tokenize=tokenize)
    if not task.is_per_token:
        bodies["embed"] = answering(
            lambda outputs: {"embedding": outputs["embedding"]}
        )
    return bodies


def _preprocess(trained: LoadedRun, texts: tuple[tf.Tensor, ...]) -> dict:
    """Returns the features, and the places of the tokens where asked for."""
    preprocessor = trained.preprocessor
    if trained.task.stride is not None:
        return preprocessor.pack_windows(texts, trained.task.stride)
    if not trained.task.with_places:
        return preprocessor(texts)
    placed = [preprocessor.tokenize_with_places(text) for text in texts]
    return {
        **preprocessor.pack(tuple(part.ids for part in placed)),
        "places": preprocessor.pack_places(
            tuple(part.places for part in placed)
        ),
    }
