"""Writes train.csv and test.csv of 77 generated classes, for report.html.

    python -m benchmarks.generate_intents --output_dir=intents_data

Each text asks one of 7 things of one of 11 objects; 3% of the labels are
wrong, so that there are mistakes and contradictions to look at.
"""

import csv
import os
import random

from absl import app, flags

_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder to write to.")
_TRAIN_ROWS = flags.DEFINE_integer("train_rows", 4620, "Rows of train.csv.")
_TEST_ROWS = flags.DEFINE_integer("test_rows", 1540, "Rows of test.csv.")
_SEED = flags.DEFINE_integer("seed", 42, "Seed of the texts.")

_WRONG = 0.03
_ACTIONS = {
    "cancel": ("cancel", "stop", "get rid of", "end"),
    "renew": ("renew", "extend", "prolong", "keep on"),
    "lost": ("report the loss of", "find", "replace", "say that I lost"),
    "price_of": ("know the price of", "see what I pay for", "ask the cost of"),
    "change_address_of": ("change the address of", "move", "redirect"),
    "complaint_about": ("complain about", "criticise", "dispute"),
    "activate": ("activate", "switch on", "start using", "unlock"),
}
_OBJECTS = {
    "credit_card": ("credit card", "visa card"),
    "debit_card": ("debit card", "bank card"),
    "account": ("account", "bank account"),
    "transfer": ("transfer", "wire transfer"),
    "direct_debit": ("direct debit", "standing order"),
    "loan": ("loan", "credit"),
    "mortgage": ("mortgage", "home loan"),
    "insurance": ("insurance", "policy"),
    "savings_plan": ("savings plan", "deposit"),
    "mobile_app": ("mobile app", "phone app"),
    "travel_money": ("travel money", "foreign cash"),
}
_FRAMES = (
    "I want to {} my {}", "how do I {} the {}?", "please help me {} my {}",
    "can you {} this {} for me", "need to {} a {} today",
    "is it possible to {} the {} I ordered last week",
)  # fmt: skip


def main(argv: list[str]) -> None:
    """Writes both files."""
    del argv
    generator = random.Random(_SEED.value)
    names = [f"{a}_{o}" for a in _ACTIONS for o in _OBJECTS]
    os.makedirs(_OUTPUT_DIR.value, exist_ok=True)
    for name, rows in (("train", _TRAIN_ROWS), ("test", _TEST_ROWS)):
        path = os.path.join(_OUTPUT_DIR.value, f"{name}.csv")
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            for number in range(rows.value):
                label = names[number % len(names)]
                action, thing = next(
                    (a, o)
                    for a in _ACTIONS
                    for o in _OBJECTS
                    if f"{a}_{o}" == label
                )
                text = generator.choice(_FRAMES).format(
                    generator.choice(_ACTIONS[action]),
                    generator.choice(_OBJECTS[thing]),
                )
                if generator.random() < _WRONG:
                    label = generator.choice(names)
                writer.writerow([text, label])


if __name__ == "__main__":
    flags.mark_flag_as_required("output_dir")
    app.run(main)
