"""Installs the library, the scripts and their console entry points."""

import pathlib
import re

import setuptools

ROOT = pathlib.Path(__file__).parent
VERSION = re.search(
    r'__version__ = "(.+)"', (ROOT / "bert_tf" / "__init__.py").read_text()
).group(1)
SCRIPTS = (
    "train", "evaluate", "export", "predict", "check_data", "tokenize",
    "query_server", "create_tfrecords", "launch_workers",
    "tpu_check", "compare", "doctor", "embed", "similar", "build_vocabulary",
    "pretrain", "fill_mask", "distill", "label_issues",
    "search", "suggest", "try_out", "batch_predict",
)  # fmt: skip

setuptools.setup(
    name="bert_tf",
    version=VERSION,
    description=(
        "From a file of labelled texts to a served BERT classifier in "
        "TensorFlow"
    ),
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=setuptools.find_packages(include=["bert_tf*", "pipelines*"]),
    package_data={
        # A link to the file here: `pipelines.doctor --fix` installs from it.
        "bert_tf.diagnostics": ["requirements-demo.txt"],
        "bert_tf.serving": ["*.json", "bundle_templates/*"],
        "bert_tf.evaluation.report": ["templates/*"],
    },
    python_requires=">=3.11,<3.14",
    install_requires=[
        "absl-py>=2.1",
        # Addresses such as s3://; huggingface_hub brings it, too.
        "fsspec>=2024.2",
        "Jinja2>=3.1",
        "keras-nlp==0.32.*",
        "MarkupSafe>=2.1",
        "matplotlib>=3.9",
        "packaging>=24",
        "pandas>=2.2",
        "PyYAML>=6",
        # keras-hub reads Transformers folders with it and does not declare it.
        "safetensors>=0.4",
        "scikit-learn>=1.5",
        "scipy>=1.12",
        # TensorFlow 2.21 no longer brings it.
        "tensorboard==2.21.*",
        "tensorflow==2.21.*",
        # Warm-up requests, and the client over gRPC.
        "tensorflow-serving-api==2.21.*",
        "tensorflow-text==2.21.*",
        "threadpoolctl>=3.2",
        # Trains vocabularies; keras-hub brings it, too.
        "tokenizers>=0.20",
    ],
    extras_require={
        "dev": [
            "check-jsonschema",
            # Makes docs/api.md.
            "griffe2md",
            "ipykernel",
            "kubernetes-validate",
            "nbclient",
            "nbformat",
            # Drives the browser that looks at the page to try a model on.
            "playwright",
            "pre-commit",
            "pytest-xdist",
            "pytest>=8",
            "ruff==0.17.5",
            'seqeval; python_version < "3.13"',
        ],
        # What some files are read with.
        "parquet": ["pyarrow>=15"],
        "excel": ["openpyxl>=3.1"],
        "datasets": ["datasets>=3"],
        # Finds labels that may be wrong.
        "cleanlab": ["cleanlab>=2.7"],
        # Searches for settings.
        "search": ["optuna>=4.2"],
        # Exports for ONNX Runtime.
        "onnx": ["onnx>=1.17", "onnxruntime>=1.20"],
        # Tables answered, and records made, by a cluster.
        "spark": ["pyarrow>=15", "pyspark>=4.1"],
        # Files, runs and models at s3:// addresses.
        "s3": ["s3fs>=2024.2"],
        # The page to try a model on.
        "try-out": ["gradio>=6"],
        # Where trainings are reported to, beside TensorBoard.
        "mlflow": ["mlflow-skinny>=3"],
        # Compiles the training step for a TPU without one; 1.3 GB. Pinned, as
        # private parts of jax are used.
        "tpu-check": ["jax==0.10.2", "libtpu==0.0.42.1"],
    },
    entry_points={
        "console_scripts": [
            f"bert-tf-{name.replace('_', '-')} = pipelines.app:run_installed"
            for name in SCRIPTS
        ]
    },
)
