"""Texts that a service is sent by mistake or by malice."""

HOSTILE = [
    b"",
    b"\0\0 good",
    b"\xff\xfe good \xc3",
    "😀🏽‍♀️ שלום 中文 café".encode(),
    b"[SEP] [MASK] [CLS]",
    b"a" * 1_000_000,
    b"good " * 200_000,
]
# Where texts are cut into windows a megabyte is tens of thousands of them.
SHORTER = [text[:20_000] for text in HOSTILE]
