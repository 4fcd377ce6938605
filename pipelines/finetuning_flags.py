"""Flags of a fine-tuning, which several scripts do."""

from absl import flags

from bert_tf.config import training as config_lib
from pipelines import common_flags, help_page, training_flags


def define() -> None:
    """Declares every setting of `TrainConfig`."""
    common_flags.define_files()
    common_flags.define_columns()
    common_flags.define_label_column()
    common_flags.define_text(length=None)
    common_flags.define_task()
    common_flags.define_incomplete()
    training_flags.define()
    with help_page.group("Training"):
        flags.DEFINE_integer(
            "num_train_epochs",
            None,
            "Passes over the training rows; 0 for a linear probe alone. "
            "Default: 3, or as many as take 400 steps (200 of classes after a "
            "linear probe), up to 40; with a contrastive epoch that and, from "
            "100 rows on, 3.",
        )
        flags.DEFINE_integer(
            "train_batch_size",
            None,
            "Examples a training step, over all replicas together. Default: "
            "32; 16 of fewer than 1,000 rows without a contrastive epoch.",
        )
        flags.DEFINE_float(
            "learning_rate",
            None,
            "Peak learning rate. Default by size of the backbone: 3e-4 below "
            "15 M parameters, 1e-4 below 60 M, 3e-5 below 200 M, else 2e-5; "
            "1e-3 with --freeze_backbone.",
        )
        flags.DEFINE_enum(
            "class_weight",
            "none",
            config_lib.CLASS_WEIGHTS,
            "balanced: a class counts the more, the rarer it is.",
        )
        flags.DEFINE_integer(
            "early_stopping_patience",
            None,
            "Stop after so many epochs without a better one. Default: never, "
            "or 5 with fewer than 100 validation rows, of which the loss "
            "chooses.",
        )
    with help_page.group("Advanced"):
        flags.DEFINE_float(
            "validation_split",
            0.1,
            "Share of each class split off for validation where there is no "
            "--validation_file; equal texts stay on one side.",
        )
        flags.DEFINE_integer(
            "doc_stride",
            64,
            "With --task=span or --long_text=window, from the start of a "
            "window over a long text to that of the next, in tokens.",
        )
        flags.DEFINE_enum(
            "long_text",
            "truncate",
            config_lib.LONG_TEXTS,
            "What the model sees of a text beyond --max_seq_length: its "
            "beginning (truncate), a quarter of the length from its beginning "
            "and the rest from its end (head_tail), or all of it, in windows "
            "that overlap (window).",
        )
        flags.DEFINE_enum(
            "window_pooling",
            "mean",
            config_lib.WINDOW_POOLINGS,
            "With --long_text=window, how the windows of a text become one "
            "answer: their mean, or the largest of each probability or number.",
        )
        flags.DEFINE_string(
            "label_issues_file",
            None,
            "What pipelines.label_issues wrote, of which --drop_label_issues "
            "leaves rows out.",
        )
        flags.DEFINE_float(
            "drop_label_issues",
            None,
            "Largest share of the training rows to leave out, as 0.02: those "
            "whose labels --label_issues_file takes for wrong, the likeliest "
            "first. Validation and test rows stay.",
        )
        flags.DEFINE_integer(
            "max_train_samples",
            None,
            "Train on a random sample of so many rows.",
        )
        flags.DEFINE_integer(
            "max_eval_samples",
            None,
            "Validate and test on random samples of so many rows each.",
        )
        flags.DEFINE_integer(
            "eval_batch_size",
            64,
            "Examples a step in evaluation, over all replicas together.",
        )
        flags.DEFINE_float(
            "warmup_proportion",
            0.1,
            "Share of the steps in which the learning rate rises.",
        )
        common_flags.define_schedule()
        flags.DEFINE_float(
            "dropout", 0.1, "Dropout rate in the backbone and the head."
        )
        flags.DEFINE_enum(
            "pooling",
            "auto",
            config_lib.POOLINGS,
            "What of a text the head is on: cls, the pooler's output for "
            "[CLS]; mean, the mean over its tokens; auto: what the checkpoint "
            "was trained for (1_Pooling/config.json), else cls.",
        )
        flags.DEFINE_enum(
            "head_init",
            "auto",
            config_lib.HEAD_INITS,
            "Where the head starts: linear_probe, a linear model fitted to the "
            "backbone as it is, which also is epoch 0 of those to choose from; "
            "random; auto: linear_probe where the task has one.",
        )
        flags.DEFINE_enum(
            "contrastive",
            "auto",
            config_lib.CONTRASTIVE,
            "Whether the first epoch draws the vectors of one class together, "
            "in 30 to 100 steps, and fits a linear probe to them; auto: with "
            "--task=classification, up to 400 rows a class.",
        )
        flags.DEFINE_boolean(
            "refit",
            None,
            "After the figures of the validation split, train once more on all "
            "rows, its own too, up to the best epoch, and save that. Default: "
            "where the split is too small to choose anything, see "
            "--contrastive.",
        )
        flags.DEFINE_boolean(
            "calibrate",
            None,
            "After training, scale the scores (not the answers) so that they "
            "are probabilities on the validation split; exported models "
            "include it. Default: where it has 10 mistakes or more.",
        )
        flags.DEFINE_boolean(
            "freeze_backbone",
            False,
            "Train the head only, on the features of the backbone as it is: "
            "the linear probe, without epochs after it; by gradients where "
            "there is none.",
        )
        flags.DEFINE_string(
            "trainable_layers",
            None,
            "last:N trains the last N layers and the head; the layers below "
            "them and the embeddings stay as they are.",
        )
        flags.DEFINE_integer(
            "lora_rank",
            None,
            "Train low-rank updates of this rank to query and value (LoRA) and "
            "the head, nothing else; they are merged into the saved weights. "
            "The learning rate is 1e-3 unless given.",
        )
        flags.DEFINE_float(
            "layerwise_learning_rate_decay",
            1.0,
            "Factor on the learning rate from each layer to the one below it.",
        )
        flags.DEFINE_enum(
            "metric_for_best_model",
            None,
            list(config_lib.SELECTION_METRICS),
            "Validation metric that chooses the best epoch. Default: f1 for "
            "two classes, accuracy for more, the loss of fewer than 100 rows; "
            "pearson, f1_micro and f1 of entities.",
        )
        flags.DEFINE_string(
            "positive_label",
            None,
            "Of two classes, the one that precision, recall and F1 are of. "
            "Default: 1, yes, true, positive or pos, or the one that the other "
            "negates (spam, not spam), else the rarer one in training.",
        )
        flags.DEFINE_float(
            "max_truncated_share",
            0.05,
            "Warn where a larger share of the texts is cut at "
            "--max_seq_length.",
        )
        flags.DEFINE_list(
            "report_to",
            list(config_lib.TrainConfig.report_to),
            "Trackers, separated by commas: tensorboard, which reads logs/ in "
            "the run folder; mlflow, which gets settings, metrics, plots and "
            "the exported model. None where it is empty.",
        )
        flags.DEFINE_integer(
            "steps_per_execution",
            1,
            "Steps in one call from Python. On TPUs 50 or so; checkpoints and "
            "progress come between calls only.",
        )
        flags.DEFINE_integer(
            "pad_to_multiple_of",
            None,
            "Pad batches to a multiple of so many tokens. Default: 16 with "
            "--jit_compile=true, where XLA compiles the step for each length "
            "that occurs, else 1.",
        )
