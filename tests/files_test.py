"""Addresses are read as local files are; what is wrong with one is said."""

import sys

import fsspec
import pytest

from bert_tf import files
from bert_tf.errors import InputError, InstallationError, ServerError


# TensorFlow's ram:// stands for gs://, fsspec's memory:// for s3://.
@pytest.mark.parametrize("scheme", ("ram", "memory"))
def test_an_address_is_read_as_a_folder_is(scheme, tmp_path):
    for root in (str(tmp_path), f"{scheme}://{tmp_path.name}"):
        local = tmp_path / "source"
        local.write_bytes("é\r\nb\n".encode())
        for name in ("a.csv", "b/c d.csv", "b/e.txt"):
            target = f"{root}/folder/{name}"
            if files.is_remote(root):
                files.upload(str(local), target)
            else:
                files.download(str(local), target)
        folder = f"{root}/folder"
        assert files.list_files(folder) == ["a.csv", "b/c d.csv", "b/e.txt"]
        assert files.glob(f"{folder}/b/*.csv") == [f"{folder}/b/c d.csv"]
        assert files.exists(f"{folder}/a.csv") and files.exists(folder)
        assert files.is_folder(folder)
        assert not files.is_folder(f"{folder}/a.csv")
        assert files.size(f"{folder}/a.csv") == 6
        assert files.size(f"{folder}/none") == 0
        assert files.list_files(f"{root}/none") == []
        assert not files.glob(f"{root}/none/*")
        with files.open_file(f"{folder}/a.csv") as file:
            assert file.read() == "é\r\nb\n"
        with files.open_file(f"{folder}/a.csv", "rb") as file:
            file.seek(4)
            assert file.read() == b"b\n"


@pytest.mark.parametrize("scheme", ("ram", "memory"))
def test_a_remote_file_is_written_read_and_deleted(scheme, tmp_path):
    path = f"{scheme}://{tmp_path.name}/file"
    files.write_text(path, "two")
    files.check_writable(path)
    files.download(path, str(tmp_path / "copies" / "copy"))
    assert (tmp_path / "copies" / "copy").read_text() == "two"
    assert files.list_files(f"{scheme}://{tmp_path.name}") == ["file"]
    assert files.modified(path) >= 0
    files.remove(path)
    assert not files.exists(path)


def test_a_copy_that_is_cut_off_is_noticed(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("four")
    disk = fsspec.filesystem("memory")
    monkeypatch.setattr(
        type(disk), "put_file", lambda disk, _, path: disk.pipe_file(path, b"3")
    )
    with pytest.raises(ServerError, match="has 1 bytes after copying"):
        files.upload(str(tmp_path / "file"), "memory://cut/file")
    assert files.list_files("memory://cut") == []


def test_faults_are_sentences(monkeypatch):
    with pytest.raises(InputError, match="foo://a/b: Protocol not known: foo"):
        files.exists("foo://a/b")
    with pytest.raises(InputError, match="memory://none/a: "):
        files.open_file("memory://none/a", "rb")
    with pytest.raises(ServerError, match="ram://none/a: "):
        files.size("ram://none/a") or files.modified("ram://none/a")
    monkeypatch.setitem(sys.modules, "adlfs", None)
    with pytest.raises(InstallationError, match="abfs://a/b needs a package"):
        files.exists("abfs://a/b")
