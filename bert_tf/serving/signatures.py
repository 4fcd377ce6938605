"""What an exported model answers: text in, class names out."""

from collections.abc import Sequence

import tensorflow as tf

from bert_tf.models.trained import Trained

SINGLE_INPUTS = ("text",)
PAIR_INPUTS = ("text_a", "text_b")


class ServingModule(tf.Module):
    """Holds a trained model's weights, each once, and its signatures.

    `functions` are the concrete functions by signature name.

    `tf.saved_model.save` writes what hangs on this object. The Keras model
    does not: it would store every weight a second time.
    """

    def __init__(self, trained: Trained):
        super().__init__()
        self.weights = [variable.value for variable in trained.model.variables]
        inputs = PAIR_INPUTS if trained.has_pairs else SINGLE_INPUTS
        self._predict = tf.function(
            _build_predict(trained),
            input_signature=[
                tf.TensorSpec([None], tf.string, name=name) for name in inputs
            ],
        )
        self.functions = {
            "serving_default": self._predict.get_concrete_function()
        }


def _build_predict(trained: Trained):
    class_names = tf.constant(list(trained.class_names))

    def predict(*texts: tf.Tensor) -> dict[str, tf.Tensor]:
        features = trained.preprocessor(texts)
        outputs = trained.model(features, training=False)
        probabilities = tf.cast(outputs["probabilities"], tf.float32)
        return {
            "label": tf.gather(class_names, tf.argmax(probabilities, axis=1)),
            "score": tf.reduce_max(probabilities, axis=1),
            "probabilities": probabilities,
        }

    return predict


def graph_operations(functions: Sequence) -> set[str]:
    """Returns the operation types of concrete functions, all they call too."""
    operations: set[str] = set()
    for function in functions:
        graph = function.graph.as_graph_def()
        operations.update(node.op for node in graph.node)
        for called in graph.library.function:
            operations.update(node.op for node in called.node_def)
    return operations


def is_compiled(functions: Sequence) -> bool:
    """Tells whether any function they call must be compiled by XLA."""
    return any(
        called.attr["_XlaMustCompile"].b
        for function in functions
        for called in function.graph.as_graph_def().library.function
    )
