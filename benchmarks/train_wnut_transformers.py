"""Transformers' token-classification recipe on the same CoNLL files.

    python -m benchmarks.train_wnut_transformers FOLDER_OF_CHECKPOINT \
        TRAIN.conll TEST.conll SEED

Labels on the first piece of each word, AdamW with the Trainer's defaults,
dynamic padding, 3 epochs of batch 32 at 5e-5; prints the entity F1 (strict
IOB2, words beyond 128 tokens count as O) as `bert_tf` counts it.
"""

import sys
import tempfile

import numpy as np
import transformers

from bert_tf.data.readers import conll
from bert_tf.metrics.entities import entity_metrics


def read(path: str) -> tuple[list[list[str]], list[list[str]]]:
    """Returns the words and the tags of each sentence."""
    with open(path, encoding="utf-8") as file:
        fields = [one for _, one in conll.read_sentences(file, path)]
    return tuple(
        [one[name].split(" ") for one in fields] for name in ("text", "label")
    )


def main() -> None:
    """Trains, and prints the F1 of the last epoch."""
    folder, train_path, test_path, seed = sys.argv[1:]
    transformers.set_seed(int(seed))
    train_words, train_tags = read(train_path)
    test_words, test_tags = read(test_path)
    names = sorted({tag for tags in train_tags for tag in tags})
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    def encode(sentences, tags):
        """Returns the rows, and of each word with pieces its first one."""
        encoded = tokenizer(
            sentences, truncation=True, max_length=128, is_split_into_words=True
        )
        rows, first_pieces = [], []
        for row, tags_of_row in enumerate(tags):
            first = {}
            for position, word in enumerate(encoded.word_ids(row)):
                if word is not None:
                    first.setdefault(word, position)
            features = {key: values[row] for key, values in encoded.items()}
            labels = [-100] * len(features["input_ids"])
            for word, position in first.items():
                labels[position] = names.index(tags_of_row[word])
            rows.append({**features, "labels": labels})
            first_pieces.append(first)
        return rows, first_pieces

    test, first_pieces = encode(test_words, test_tags)
    with tempfile.TemporaryDirectory() as output:
        trainer = transformers.Trainer(
            model=transformers.AutoModelForTokenClassification.from_pretrained(
                folder, num_labels=len(names)
            ),
            args=transformers.TrainingArguments(
                output_dir=output,
                per_device_train_batch_size=32,
                num_train_epochs=3,
                learning_rate=5e-5,
                save_strategy="no",
                report_to="none",
                use_cpu=True,
                disable_tqdm=True,
                seed=int(seed),
            ),
            train_dataset=encode(train_words, train_tags)[0],
            data_collator=transformers.DataCollatorForTokenClassification(
                tokenizer
            ),
        )
        trainer.train()
        logits = trainer.predict(test).predictions
    found = []
    for row, tags in enumerate(test_tags):
        answer = ["O"] * len(tags)
        for word, position in first_pieces[row].items():
            answer[word] = names[np.argmax(logits[row, position])]
        found.append(answer)
    metrics = entity_metrics(test_tags, found, loss=0.0)
    sys.stdout.write(
        f"seed {seed}: F1 {metrics['eval_f1']:.4f}, "
        f"precision {metrics['eval_precision']:.4f}, "
        f"recall {metrics['eval_recall']:.4f}\n"
    )


if __name__ == "__main__":
    main()
