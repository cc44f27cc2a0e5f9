import pytest

from geocache.blocklists.formats.line_formats import recognise

IPSUM = """\
# IPsum Threat Intelligence Feed
1.2.3.4\t9
5.6.7.8\t3
"""
NETSET = """\
#
# firehol_level1
#
1.10.16.0/20
5.134.128.0/19
223.254.254.254
"""
DROP = """\
; Spamhaus DROP List 2026/01/02
1.10.16.0/20 ; SBL256894
2a02:6b8::/32 ; SBL1
"""
DROP_JSON = """\
{"cidr":"1.10.16.0/20","sblid":"SBL256894","rir":"apnic"}
{"cidr":"2a02:6b8::/32","sblid":"SBL1","rir":"ripencc"}
{"type":"metadata","timestamp":1700000000,"size":2,"records":2}
"""
EMERGING = """\
# Emerging Threats: compromised hosts
81.2.69.142
5.6.7.0/24
"""
CSV = """\
################
# Feodo tracker
"first_seen_utc","dst_ip","dst_port"
"2026-01-02 12:00:00","1.2.3.4","443"
"2026-01-03 12:00:00","5.6.7.8","8080"
"""
CSV_FIRST = """\
ip;count
1.2.3.4;5
2a02:6b8::1;7
"""
LOG = """\
2026-01-02 12:00:00,001 fail2ban.server  [811]: INFO    Starting Fail2ban v1.0.2
2026-01-02 12:00:00,123 fail2ban.filter  [811]: INFO    [sshd] Found 9.9.9.9 - 2026-01-02 12:00:00
2026-01-02 12:00:01,123 fail2ban.actions [811]: NOTICE  [sshd] Ban 1.2.3.4
2026-01-02 12:00:02,123 fail2ban.actions [811]: NOTICE  [sshd] Restore Ban 2a02:6b8::1
2026-01-02 12:00:03,123 fail2ban.actions [811]: WARNING [sshd] 1.2.3.4 already banned
2026-01-02 12:00:04,123 fail2ban.actions [811]: NOTICE  [sshd] Unban 7.7.7.7
"""
IPSET_SAVE = """\
create blocked hash:net family inet hashsize 1024 maxelem 65536
add blocked 1.2.3.0/24
add blocked 5.6.7.8 timeout 600
"""
IPSET_LIST = """\
Name: blocked
Type: hash:ip,port
Header: family inet hashsize 1024
Number of entries: 2
Members:
1.2.3.4,tcp:80
5.6.7.8 timeout 3
"""
NFT_LIST = """\
table inet filter {
\tset blocked {
\t\ttype ipv4_addr
\t\tflags interval
\t\telements = { 1.2.3.4, 5.6.7.0/24,
\t\t\t     9.9.9.1-9.9.9.9 timeout 1d expires 3h }
\t}
\tset blocked6 {
\t\ttype ipv6_addr
\t\telements = { fe80::1, 2a02:6b8::/32 }
\t}
\tchain input {
\t\ttype filter hook input priority 0; policy accept;
\t\tip saddr @blocked drop
\t}
}
"""
NFT_FILE = """\
flush set inet f b
add element inet f b { 1.2.3.4, 5.6.7.8 }
"""


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        (IPSUM, "list", ["1.2.3.4", "5.6.7.8"]),
        (NETSET, "list", ["1.10.16.0/20", "5.134.128.0/19", "223.254.254.254"]),
        (DROP, "list", ["1.10.16.0/20", "2a02:6b8::/32"]),
        (DROP_JSON, "JSON lines", ["1.10.16.0/20", "2a02:6b8::/32"]),
        (EMERGING, "list", ["81.2.69.142", "5.6.7.0/24"]),
        (CSV, "CSV", ["1.2.3.4", "5.6.7.8"]),
        (CSV_FIRST, "CSV", ["1.2.3.4", "2a02:6b8::1"]),
        (LOG, "fail2ban.log", ["1.2.3.4", "2a02:6b8::1"]),
        (IPSET_SAVE, "ipset", ["1.2.3.0/24", "5.6.7.8"]),
        (IPSET_LIST, "ipset", ["1.2.3.4", "5.6.7.8"]),
        (
            NFT_LIST,
            "nftables",
            ["1.2.3.4", "5.6.7.0/24", "9.9.9.1-9.9.9.9", "fe80::1", "2a02:6b8::/32"],
        ),
        (NFT_FILE, "nftables", ["1.2.3.4", "5.6.7.8"]),
    ],
)
def test_recognise__reads_what_the_format_holds(text: str, name: str, words: list[str]) -> None:
    lines = text.splitlines(keepends=True)
    form = recognise([line for line in lines if not line.startswith("#")])
    assert form.name == name
    assert [word for line in lines for word in form.read(line)] == words


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("1.2.3.4\nno address here\n", "no"),
        ('{"cidr":"1.2.3.0/24"}\n{"cidr":\n', '{"cidr":'),
        ('{"cidr":"1.2.3.0/24"}\n{"other":1}\n', '{"other":1}'),
        ("a,1.2.3.4\nb\n", "b"),
    ],
)
def test_recognise__a_line_that_cannot_be_read_gives_what_it_is_known_by(
    text: str, word: str
) -> None:
    lines = text.splitlines(keepends=True)
    assert list(recognise(lines).read(lines[1])) == ([] if word == "b" else [word])


def test_recognise__nothing_is_a_list() -> None:
    assert recognise([]).name == "list"
