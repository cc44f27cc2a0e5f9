"""Which database files were walked through to their end, remembered in a file for all processes."""

import json
from hashlib import file_digest
from pathlib import Path
from typing import Final, NamedTuple

# Of the files that were verified last; each newer build of a database is one more.
KEPT_FILES: Final = 64


class Stamp(NamedTuple):
    """Tells files apart without reading them; a file that is renamed keeps it."""

    inode: int
    byte_count: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> "Stamp":
        """Return the stamp of the file at ``path``; raise ``OSError``."""
        status = path.stat()
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)

    @property
    def key(self) -> str:
        """Return it as the key of a JSON object."""
        return "-".join(map(str, self))


class VerifiedFiles:
    """The stamps and SHA-256 of verified files, in a JSON file that may be missing.

    ``reader`` is what they were verified with: to another one none of them is known.
    """

    def __init__(self, path: Path, reader: str) -> None:
        self.path = path
        self.reader = reader

    def has(self, stamp: Stamp) -> bool:
        """Tell whether the file of this stamp was verified."""
        return stamp.key in self._read()

    def has_content(self, sha256: str) -> bool:
        """Tell whether a file of this content was verified, whatever its stamp."""
        return sha256 in self._read().values()

    def add(self, stamp: Stamp, sha256: str) -> None:
        """Remember a file; call it under a lock. Raises ``OSError``."""
        files = self._read()
        files.pop(stamp.key, None)
        files[stamp.key] = sha256
        kept = dict(list(files.items())[-KEPT_FILES:])
        draft = self.path.with_name(f".{self.path.name}.part")
        draft.write_text(json.dumps({"reader": self.reader, "files": kept}, indent=1))
        draft.replace(self.path)

    def _read(self) -> dict[str, str]:
        try:
            read = json.loads(self.path.read_text())
            files = read["files"] if read["reader"] == self.reader else {}
            return {str(key): str(value) for key, value in files.items()}
        except (OSError, ValueError, AttributeError, LookupError, TypeError):
            return {}


def content_sha256(path: Path) -> str:
    """Return the SHA-256 of a file; raise ``OSError``."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
