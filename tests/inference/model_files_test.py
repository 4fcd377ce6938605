from bert_tf.inference.model_files import current_names


def test_former_names_of_outputs_are_read():
    outputs = {"input_mask": 1, "places": 2, "owners": 3}
    assert current_names(outputs) == {
        "input_mask": 1, "offsets": 2, "example_index": 3
    }  # fmt: skip
