"""Excel workbooks (.xlsx), with openpyxl."""

import warnings
from collections.abc import Iterator

from absl import logging

from bert_tf import files
from bert_tf.config.read_options import ReadOptions
from bert_tf.data.readers.table import Table, as_text
from bert_tf.errors import InputError, list_some


def read(path: str, name: str, options: ReadOptions) -> Table:
    """Returns the rows of the first sheet; the first row has the names."""
    return Table.from_fields(_records(path, name), name, options)


def _records(path: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the number of each row that is not empty, and its cells."""
    import openpyxl
    from openpyxl.cell.cell import ERROR_CODES
    from openpyxl.utils.escape import unescape

    try:
        with files.open_file(path, "rb") as file, warnings.catch_warnings():
            # Of styles and the like, which texts have nothing to do with.
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            shown = [
                sheet
                for sheet in book.worksheets
                if sheet.sheet_state == "visible"
            ]
            first, *others = shown or book.worksheets
            if others:
                logging.info(
                    "%s: the sheet %r is read, not %s.",
                    name,
                    first.title,
                    list_some([sheet.title for sheet in others]),
                )
            # What the file says of its size may be wrong.
            first.reset_dimensions()
            width = 0
            for number, row in enumerate(first.iter_rows(values_only=True), 1):
                cells = [
                    "" if cell in ERROR_CODES else unescape(as_text(cell))
                    for cell in row
                ]
                while cells and not cells[-1]:
                    cells.pop()
                width = width or len(cells)
                if cells:
                    # Notes beside the table have no column's name.
                    missing = width - len(cells)
                    yield number, cells[:width] + [""] * missing
    except Exception as error:  # noqa: BLE001 - of XML, of zip, and its own
        raise InputError(
            f"{name} cannot be read as an Excel workbook ({error}); save it "
            "again, or as CSV UTF-8"
        ) from None
