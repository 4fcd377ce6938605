"""SentencePiece, as ALBERT's tokenizer uses it, in the graph."""

import tensorflow as tf
import tensorflow_text as tf_text

from bert_tf.text import normalization
from bert_tf.text.vocabulary import Vocabulary

# What starts a word.
_SPACE = "\u2581"


def readable(tokens: tuple[str, ...]) -> list[str]:
    """Returns tokens as WordPiece writes them: ## where no word starts."""
    return [
        token[1:] if token[:1] == _SPACE else f"##{token}" for token in tokens
    ]


class SentencePieceTokenizer:
    """From texts <string>[batch] to ids <int32>[batch, (pieces)]."""

    def __init__(self, vocabulary: Vocabulary):
        """Takes the model from `vocabulary.model`."""
        self._vocabulary = vocabulary
        # Holds a resource, which is to be saved with a graph.
        self.resource = tf_text.SentencepieceTokenizer(vocabulary.model)

    def __call__(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Tokenizes after what ALBERT's own tokenizer does to a text."""
        texts = normalization.valid_utf8(texts)
        # TensorFlow Text would cut a text there.
        texts = tf.strings.regex_replace(texts, r"\x00", "")
        texts = tf.strings.regex_replace(texts, "``|''", '"')
        if self._vocabulary.strip_accents:
            texts = tf_text.normalize_utf8(texts, "NFKD")
            texts = normalization.remove_accents(texts)
        if self._vocabulary.lowercase:
            texts = normalization.to_lower_case(texts)
        return self.resource.tokenize(texts)
