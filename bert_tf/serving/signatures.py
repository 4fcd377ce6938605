"""What an exported model answers: text in, class names out."""

import tensorflow as tf

from bert_tf.models import classifier
from bert_tf.models.trained import Trained
from bert_tf.serving.inputs import PAIR_INPUTS, SINGLE_INPUTS, TOKEN_INPUTS

# How many classes top_k answers, where there are so many.
_MOST_CLASSES = 5

# In the order in which people read of them.
DESCRIPTIONS = {
    "serving_default": (
        "The class of each text, its probability (score), and the "
        "probabilities of all classes in the order of labels.txt."
    ),
    "top_k": "The likeliest classes of each text, the likeliest first.",
    "tokens": (
        "As serving_default, for texts that were tokenized elsewhere: rows "
        "start with [CLS], end with [SEP], and are padded to one length."
    ),
    "tokenize": "The inputs of `tokens` for each text.",
    "embed": (
        "What the softmax layer sees of each text: BERT's pooled output, "
        "fine-tuned."
    ),
}


class ServingModule(tf.Module):
    """Holds a trained model's weights, each once, and its signatures.

    `functions` are the concrete functions by signature name.

    `tf.saved_model.save` writes what hangs on this object. The Keras model
    does not: it would store every weight a second time. The weights are
    joined and cast here, so that no request does it again.
    """

    def __init__(self, trained: Trained):
        super().__init__()
        weights = tf.nest.map_structure(
            lambda weight: tf.Variable(weight, trainable=False),
            classifier.classifier_weights(trained.model),
        )
        self.weights = tf.nest.flatten(weights)
        inputs = PAIR_INPUTS if trained.has_pairs else SINGLE_INPUTS
        text_spec = [
            tf.TensorSpec([None], tf.string, name=name) for name in inputs
        ]
        token_spec = [
            tf.TensorSpec([None, None], tf.int32, name=name)
            for name in TOKEN_INPUTS
        ]
        bodies = _build_bodies(trained, weights)
        self._traced = {
            name: tf.function(
                body,
                input_signature=token_spec if name == "tokens" else text_spec,
            )
            for name, body in bodies.items()
        }
        self.functions = {
            name: function.get_concrete_function()
            for name, function in self._traced.items()
        }


def _build_bodies(
    trained: Trained, weights: classifier.ClassifierWeights
) -> dict:
    """Returns a Python function for each signature."""
    class_names = tf.constant(list(trained.class_names))
    most = min(_MOST_CLASSES, len(trained.class_names))

    # Functions of their own, so that the graph holds one vocabulary and one
    # model, not one for each signature.
    preprocess = tf.function(
        lambda *texts: trained.preprocessor(texts), autograph=False
    )
    run = tf.function(
        lambda features: classifier.classify(
            tf.nest.map_structure(tf.convert_to_tensor, weights),
            features,
            num_heads=classifier.backbone_of(trained.model).num_heads,
        ),
        input_signature=[
            {
                name: tf.TensorSpec([None, None], tf.int32)
                for name in ("token_ids", "padding_mask", "segment_ids")
            }
        ],
        autograph=False,
    )

    def predict(*texts):
        probabilities = run(preprocess(*texts))["probabilities"]
        return {
            "label": tf.gather(class_names, tf.argmax(probabilities, axis=1)),
            "score": tf.reduce_max(probabilities, axis=1),
            "probabilities": probabilities,
        }

    def top_k(*texts):
        probabilities = run(preprocess(*texts))["probabilities"]
        scores, ids = tf.math.top_k(probabilities, k=most)
        return {"labels": tf.gather(class_names, ids), "scores": scores}

    def tokens(input_word_ids, input_mask, input_type_ids):
        outputs = run(
            {
                "token_ids": input_word_ids,
                "padding_mask": input_mask,
                "segment_ids": input_type_ids,
            }
        )
        return {name: outputs[name] for name in ("logits", "probabilities")}

    def tokenize(*texts):
        features = preprocess(*texts)
        return {
            "input_word_ids": features["token_ids"],
            "input_mask": features["padding_mask"],
            "input_type_ids": features["segment_ids"],
        }

    def embed(*texts):
        return {"embedding": run(preprocess(*texts))["embedding"]}

    return {
        "serving_default": predict,
        "top_k": top_k,
        "tokens": tokens,
        "tokenize": tokenize,
        "embed": embed,
    }
