"""What pipelines.evaluate does with a model and files."""

from bert_tf import runs
from bert_tf.data import examples
from bert_tf.evaluation import artifacts, error_analysis
from bert_tf.evaluation import evaluate as evaluate_lib
from bert_tf.inference import model_files


def evaluate_files(path, files, *, batch_size=64):
    """Evaluates a run folder or a SavedModel on files."""
    info = model_files.read_info(path)
    labelled = examples.read_labelled(files, info.label_type, info.class_names)
    model = runs.open_model(info, batch_size=batch_size)
    return evaluate_lib.evaluate(model, labelled)


def write_evaluation(path, files, folder) -> None:
    """Evaluates and writes report.html and the other files."""
    info = model_files.read_info(path)
    labelled = examples.read_labelled(files, info.label_type, info.class_names)
    model = runs.open_model(info, batch_size=64)
    evaluation = evaluate_lib.evaluate(model, labelled)
    artifacts.write_results(
        str(folder),
        [evaluation],
        findings=error_analysis.of_model(model, evaluation),
        run_path=path if model.is_run else None,
    )
