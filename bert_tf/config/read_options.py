"""How files are read: format, encoding and columns."""

import codecs
import dataclasses

from bert_tf.errors import InputError

# Characters that are awkward to type, by name.
_DELIMITERS = {
    "tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|",
    "space": " ",
}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextOptions:
    """How texts are read, with labels or without.

    Attributes:
        text_column: found by common names unless given; several, separated by
            commas, are joined.
        input_format: one of `registry.FORMATS`; by default the suffix says.
        encoding: a codec of Python; by default UTF-8, or what a byte order
            mark says.
        delimiter: a character or its name; by default found.
        header: whether the first row of a delimited file has column names.
        column_names: of a delimited file, in place of its header's, or where
            it has none.
        escapechar: what stands before a quote that is part of the text.
    """

    text_column: str | None = None
    input_format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header: bool = True
    column_names: tuple[str, ...] = ()
    escapechar: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadOptions(TextOptions):
    """How tables are read; a field has its flag's name.

    Attributes:
        text_pair_column: of the second text of a pair.
        label_column: found by common names unless given.
        id_column: found by common names unless given.
        label_names: what the labels 0, 1, ... are called.
    """

    text_pair_column: str | None = None
    label_column: str | None = None
    id_column: str | None = None
    label_names: tuple[str, ...] = ()

    def __post_init__(self):
        """Raises InputError for what no file could make right."""
        for name in ("label_names", "column_names"):
            values = tuple(value.strip() for value in getattr(self, name))
            object.__setattr__(self, name, values)
            if len(set(values)) < len(values):
                raise InputError(f"--{name}={','.join(values)} names one twice")
        if self.delimiter is not None and len(self.delimiter_character) != 1:
            raise InputError(
                f"--delimiter={self.delimiter} must be one character, or "
                f"{', '.join(name for name in _DELIMITERS if name.isalpha())}"
            )
        if self.escapechar is not None and len(self.escapechar) != 1:
            raise InputError(
                f"--escapechar={self.escapechar} must be one character"
            )
        if self.encoding is not None and not _is_text_encoding(self.encoding):
            raise InputError(
                f"--encoding={self.encoding} is not known; utf-8, utf-16, "
                "cp1252, latin-1, gb18030, shift_jis and all others of "
                "Python's codecs are"
            )

    @property
    def delimiter_character(self) -> str | None:
        """--delimiter, its name replaced; None where it is to be found."""
        return _DELIMITERS.get(self.delimiter, self.delimiter)

    def columns(self) -> dict[str, str | None]:
        """Returns the names of the columns by flag."""
        return {
            "text_column": self.text_column,
            "text_pair_column": self.text_pair_column,
            "label_column": self.label_column,
            "id_column": self.id_column,
        }


def _is_text_encoding(name: str) -> bool:
    try:
        return isinstance(codecs.decode(b"a", name), str)
    except LookupError:
        return False
    except UnicodeError:
        # UTF-16 wants more than a byte.
        return True
    except Exception:  # noqa: BLE001 - zlib and its like, each with its own
        return False
