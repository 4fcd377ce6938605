"""What the model sees of a text, as a table."""

import tensorflow as tf

from bert_tf.text.preprocessing import Preprocessor


def token_table(preprocessor: Preprocessor, segments: tuple[str, ...]) -> str:
    """Returns tokens, ids, segment ids and mask of one text or pair."""
    function = tf.function(lambda *texts: preprocessor(texts), autograph=False)
    features = function(*(tf.constant([text]) for text in segments))
    ids = features["token_ids"][0].numpy()
    tokens = [preprocessor.vocabulary.tokens[i] for i in ids]
    rows = zip(
        range(len(ids)),
        tokens,
        ids,
        features["segment_ids"][0].numpy(),
        features["padding_mask"][0].numpy(),
        strict=True,
    )
    width = max(len("token"), *(len(token) for token in tokens))
    lines = [f"{'position':>8}  {'token':<{width}}  {'id':>6}  segment  mask"]
    lines += [
        f"{position:>8}  {token:<{width}}  {i:>6}  {segment:>7}  {mask:>4}"
        for position, token, i, segment, mask in rows
    ]
    return "\n".join(lines)
