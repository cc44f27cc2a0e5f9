"""The checksum files that tools write, and those that are none of the file that is fetched."""

import base64
import hashlib
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from geocache.downloads.checksums import sha256_of
from geocache.exceptions import UpdateError

NAME = "city.mmdb.gz"
SUM = hashlib.sha256(b"database").hexdigest()
OTHER = hashlib.sha256(b"another").hexdigest()
SHA512 = hashlib.sha512(b"database").hexdigest()
MD5 = hashlib.md5(b"database", usedforsecurity=False).hexdigest()
TABLE = f"""

Algorithm       Hash                                                                   Path
---------       ----                                                                   ----
SHA256          {SUM.upper()}       C:\\Users\\me\\{NAME}


"""
LIST = f"""
Algorithm : SHA256
Hash      : {SUM.upper()}
Path      : C:\\Users\\me\\{NAME}

"""
SIGNED = f"""-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

{SUM}  {NAME}
-----BEGIN PGP SIGNATURE-----

iQIzBAEBCAAdFiEE
-----END PGP SIGNATURE-----
"""

UNDERSTOOD = {
    "sha256sum": f"{SUM}  {NAME}\n",
    "sha256sum, binary": f"{SUM} *{NAME}\n",
    "sha256sum of a folder": f"{OTHER}  ./dist/asn.mmdb\n{SUM}  ./dist/{NAME}\n",
    "sha256sum of the standard input": f"{SUM}  -\n",
    "sha256sum of a name with a backslash": f"\\{SUM}  dist\\\\{NAME}\n",
    "one space": f"{SUM} {NAME}",
    "a tab": f"{SUM}\t{NAME}",
    "upper case": f"{SUM.upper()}  {NAME}\n",
    "CRLF": f"{OTHER}  asn.mmdb\r\n{SUM}  {NAME}\r\n",
    "byte order mark": f"\ufeff{SUM}  {NAME}\n",
    "bsd": f"SHA256 ({NAME}) = {SUM}\n",
    "bsd of several": f"SHA256 (asn.mmdb) = {OTHER}\nSHA256 ({NAME}) = {SUM}\n",
    "bsd of several algorithms": f"MD5 ({NAME}) = {MD5}\nSHA256 ({NAME}) = {SUM}\n",
    "sha512 beside": f"{SHA512}  {NAME}\n{SUM}  {NAME}\n",
    "openssl 3": f"SHA2-256({NAME})= {SUM}\n",
    "openssl 1": f"SHA256({NAME})= {SUM}\n",
    "openssl of the standard input": f"SHA2-256(stdin)= {SUM}\n",
    "alone": f"{SUM}\n",
    "alone, without a line end": SUM,
    "alone, with spaces": f"  {SUM}  \n\n",
    "alone, with an algorithm": f"sha256:{SUM}\n",
    "base64": base64.b64encode(bytes.fromhex(SUM)).decode(),
    "subresource integrity": f"sha256-{base64.b64encode(bytes.fromhex(SUM)).decode()}",
    "comments": f"# made by hand\n; of today\n\n{SUM}  {NAME}\n",
    "the name first": f"{NAME}: {SUM}\n",
    "the name first, and a space": f"{NAME} {SUM}\n",
    "Get-FileHash": TABLE,
    "Get-FileHash as a list": LIST,
    "certutil": f"SHA256 hash of {NAME}:\r\n{SUM}\r\nCertUtil: -hashfile command completed.\r\n",
    "certutil of Windows 7": f"SHA256 hash of file {NAME}:\n{bytes.fromhex(SUM).hex(' ')}\n",
    "signed": SIGNED,
    "the same twice": f"{SUM}  {NAME}\n{SUM} *{NAME}\n",
}


@pytest.mark.parametrize("text", UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_sha256_of__what_tools_write(text: str) -> None:
    assert sha256_of(text.encode(), [NAME]) == SUM


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
@pytest.mark.parametrize("text", [TABLE, LIST, f"{SUM}  {NAME}\r\n"])
def test_sha256_of__what_windows_redirects(encoding: str, text: str) -> None:
    assert sha256_of(text.encode(encoding), [NAME]) == SUM


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"{OTHER}  asn.mmdb\n", "is one of 'asn.mmdb'; correct"),
        (f"{OTHER}  {NAME}.old\n", f"is one of '{NAME}.old'"),
        (f"{OTHER}  old-{NAME}\n", "is one of 'old-"),
        (f"SHA256 (asn.mmdb) = {OTHER}\n", "is one of 'asn.mmdb'"),
        (f"{SUM}\n{OTHER}  asn.mmdb\n", "is one of 'asn.mmdb'"),
        ("".join(f"{OTHER}  {n}.mmdb\n" for n in range(9)), "and 6 more"),
        (f"{SUM}  {NAME}\n{OTHER}  {NAME}\n", "more than one SHA-256"),
        (f"{SUM}\n{OTHER}\n", "more than one SHA-256"),
        *(
            (text, "cannot be read")
            for text in (
                "",
                "\n\n",
                "# nothing yet\n",
                "<html><title>404</title></html>",
                f"{SHA512}  {NAME}\n",
                f"{MD5}  {NAME}\n",
                f"MD5 ({NAME}) = {MD5}\n",
                f"SHA512 ({NAME}) = {SHA512}\n",
                LIST.replace("SHA256", "SHA3-256"),
                f"{SUM[:-1]}  {NAME}\n",
                f"{SUM}0  {NAME}\n",
                f"{SUM}{NAME}\n",
                f"-----BEGIN PGP SIGNATURE-----\n{SUM}  {NAME}\n",
                "\0" * 100,
                "x" * 100_000,
            )
        ),
    ],
)
def test_sha256_of__what_is_not_understood_or_of_another_file_is_refused(
    text: str, why: str
) -> None:
    with pytest.raises(UpdateError) as refusal:
        sha256_of(text.encode(), [NAME])
    assert why in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_sha256_of__a_name_may_hold_any_text() -> None:
    text = f"{SUM}  GeoLite2-City_20250615.tar.gz\n"
    assert sha256_of(text.encode(), ["GeoLite2-City_*.tar.gz"]) == SUM
    with pytest.raises(UpdateError, match=r"one of 'GeoLite2-City_20250615\.tar\.gz'"):
        sha256_of(text.encode(), ["GeoLite2-ASN_*.tar.gz"])


@pytest.mark.parametrize(
    "line",
    [
        "a" * 10**6,
        f"{SUM} " * 15_000,
        "(" * 10**6,
        "a" + "a" + " " * 10**6 + "b" + "b",
        "x:" * 10**5,
    ],
)
def test_sha256_of__takes_time_in_proportion(line: str) -> None:
    began = time.process_time()
    with pytest.raises(UpdateError):
        sha256_of(line.encode(), [NAME])
    with pytest.raises(UpdateError):
        sha256_of("\n".join([line[:4_990]] * 200).encode(), [NAME])
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "command",
    [
        ["sha256sum"],
        ["sha256sum", "-b"],
        ["sha256sum", "--tag"],
        ["sha256sum", "--zero"],
        ["shasum", "-a", "256"],
        ["openssl", "dgst", "-sha256"],
        ["openssl", "dgst", "-sha256", "-r"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(
    "name", [NAME, "two words.mmdb", "a (1).mmdb", "back\\slash.mmdb", "ü.mmdb"]
)
def test_sha256_of__what_the_tools_of_this_machine_write(
    tmp_path: Path, command: list[str], name: str
) -> None:
    if not shutil.which(command[0]):
        pytest.skip(f"no {command[0]} here")
    (tmp_path / name).write_bytes(b"database")
    (tmp_path / "asn.mmdb").write_bytes(b"another")
    ran = subprocess.run(
        [*command, "asn.mmdb", name], cwd=tmp_path, capture_output=True, check=True
    )
    assert sha256_of(ran.stdout, [name.rpartition("\\")[2]]) == SUM
