"""Apache Spark as the engine: many machines read, answer and write.

Needs the package pyspark (the extra `spark`) and Java 17 or newer.
"""

from bert_tf.spark.prediction import predict_udf

__all__ = ["predict_udf"]
