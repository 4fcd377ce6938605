"""Sentence embeddings: the mean over tokens, normalized.

As sentence-transformers' mean pooling and normalization (Reimers and Gurevych
2019, 1908.10084), so that a product of two vectors is their cosine.
"""

from collections.abc import Sequence

import keras_nlp
import numpy as np
import tensorflow as tf

from bert_tf.data import encoding, input_pipeline
from bert_tf.models import backbones, encoder
from bert_tf.models.dropout import no_dropout
from bert_tf.presets.presets import Preset
from bert_tf.text.preprocessor import Preprocessor

_SMALLEST = 1e-12


def mean_pooled(
    weights: encoder.EncoderWeights,
    features: dict[str, tf.Tensor],
    *,
    num_heads: int,
    exact_gelu: bool,
) -> tf.Tensor:
    """Returns normalized vectors <float32>[batch, width].

    Args:
        features: token_ids, segment_ids, padding_mask: <int32>[batch, length].
    """
    mean = encoder.mean_output(
        weights,
        features,
        num_heads=num_heads,
        drop=no_dropout,
        exact_gelu=exact_gelu,
    )
    return mean / tf.maximum(
        tf.norm(mean, axis=1, keepdims=True), tf.constant(_SMALLEST)
    )


class Embedder:
    """Embeds texts with a pretrained encoder; its graph is built once."""

    def __init__(
        self, preset: Preset, *, max_seq_length: int, batch_size: int = 64
    ):
        self._preprocessor = Preprocessor(
            preset.vocabulary, sequence_length=max_seq_length
        )
        self._batch_size = batch_size
        backbone = preset.build_backbone(dropout=0.0, dtype="float32")
        preset.check_length(max_seq_length, backbone.max_sequence_length)
        self.width = backbone.hidden_dim
        self._embed = _build_embed(backbone, preset.exact_gelu)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Returns <float32>[texts, width], in the order of the texts."""
        vectors = np.empty([len(texts), self.width], np.float32)
        if not len(texts):
            return vectors
        encoded = encoding.encode(self._preprocessor, (texts,))
        batches = input_pipeline.build_dataset(
            encoded,
            input_pipeline.plan_evaluation(
                encoded.lengths, batch_size=self._batch_size
            ),
            batch_size=self._batch_size,
            pad_token_id=self._preprocessor.special_ids.padding,
        )
        for batch in batches:
            rows = batch["row"].numpy()
            embedded = self._embed(input_pipeline.features(batch)).numpy()
            vectors[rows[rows >= 0]] = embedded[rows >= 0]
        return vectors


def _build_embed(backbone: keras_nlp.models.Backbone, exact_gelu: bool):
    spec = tf.TensorSpec([None, None], tf.int32)
    names = ("token_ids", "segment_ids", "padding_mask")

    @tf.function(
        input_signature=[{name: spec for name in names}], autograph=False
    )
    def embed(features):
        return mean_pooled(
            backbones.encoder_weights(backbone),
            features,
            num_heads=backbone.num_heads,
            exact_gelu=exact_gelu,
        )

    return embed


def nearest(
    queries: np.ndarray, vectors: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows nearest to each query and their cosines.

    Args:
        queries: <float32>[queries, width], normalized.
        vectors: <float32>[rows, width], normalized.
        count: how many, where there are so many.

    Returns:
        <int>[queries, count] and <float32>[queries, count], nearest first.
    """
    cosines = queries @ vectors.T
    rows = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
    return rows, np.take_along_axis(cosines, rows, axis=1)
