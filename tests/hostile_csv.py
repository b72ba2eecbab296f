"""Two hundred CSV files made to crash, hang or mislead whoever reads them, each named by its trick."""

from collections.abc import Iterator
from itertools import cycle, islice
from random import Random

# ruff: noqa: RUF001 - letters that look like others are what this is about

HEADER = "external_id,title,creator,category,released_on,price,stock\n"
ROW = "A{n},Dune,Herbert,Book,1965-08-01,9.90,3\n"
TABLE = HEADER + "".join(ROW.replace("{n}", str(number)) for number in range(50))

NUMBERS = [
    *(
        "1e999999",
        "-0",
        "inf",
        "NaN",
        "1" * 4_301,
        "٣",
        "３",
        "0x1F",
        "1_000",
        "1e-400",
        ".",
        "-",
        "+",
        "1.2.3.4",
        "1,,2",
    ),
    *("9" * 40, "1 " * 40, "--1", "1e", "²", "½", "Ⅳ", "1\u0000", "$", "1'0'0", "0" * 79 + "1", "−5", "5-"),
]
DATES = [
    *("0000-00-00", "9999-99-99", "10000-01-01", "2024-02-30", "٢٠٢٤-٠١-٠١", "2024-1-1T", "2024-01-01T99:99", "1/1/1"),
    *(
        "2024-01-01" + " 00:00" * 8,
        "31 " + "Dec " * 12 + "2024",
        "Dec",
        "2024-W01-1",
        "2024-366",
        "-2024-01-01",
        "1.1.",
        "0.0.0000",
    ),
    *("2024-01-01+99:99", "１/１/２０２４", "32 Dec 2024", "2024--01"),
]
TEXTS = [
    *(
        "\u202egnp.exe",
        "\u200b" * 500,
        "e" + "\u0301" * 5_000,
        "👨\u200d👩\u200d👧\u200d👦" * 50,
        "\uffff",
        "\ue000",
        "\x85",
        "\u2028",
        "\u2029",
    ),
    *(
        "\ufeff",
        "\ufdd0",
        "\U0010ffff",
        "\x1b[31m",
        "\x7f",
        "\x0b\x0c",
        "\\.",
        "\\N",
        "\\x00",
        "'; DROP TABLE x; --",
        "{{ 7*7 }}",
    ),
    *(
        "<script>alert(1)</script>",
        "${jndi:ldap://x}",
        "%s%s%n",
        "../../etc/passwd",
        "=cmd|'/C calc'!A0",
        "＝1",
        "\u200b=1",
        "a;=1",
    ),
]
TOPS = [
    *(
        "sep=\n",
        "sep=",
        "sep=x\n",
        "sep=;;\n",
        "sep=,\nsep=;\n",
        '"sep=,"\n',
        "SEP=|\n",
        "#\n" * 1_000,
        "# only\n",
        "\n" * 30_000,
    ),
    *(
        "title\n" * 40,
        ",,,\n" * 100,
        "a,b\n\n\n",
        "external_id,title\n",
        "#external_id,title\n",
        "\x00\n",
        "\x1a\n",
        '"\n',
        "'\n",
        "\\\n",
    ),
]
BYTES = {
    "a cut letter at the end": TABLE.encode() + "é".encode()[:1],
    "a long form of a slash": TABLE.encode() + b"B1,\xc0\xaf,,,,,\n",
    "half a pair of surrogates": TABLE.encode() + b"B1,\xed\xa0\x80,,,,,\n",
    "a mark of UTF-16 and UTF-8 behind it": b"\xff\xfe" + TABLE.encode(),
    "UTF-16 of an odd length": TABLE.encode("utf-16")[:-1],
    "UTF-32": TABLE.encode("utf-32"),
    "UTF-7": (HEADER + "B1,Gr+APY-n,,,,,\n").encode("utf-7"),
    "EBCDIC": TABLE.encode("cp500"),
    "two marks": b"\xef\xbb\xbf" * 2 + TABLE.encode(),
    "a mark in the middle": TABLE.encode() + b"\xef\xbb\xbf" + TABLE.encode(),
    "a NUL in each row": TABLE.replace("Dune", "Du\0ne").encode(),
    "a tail of NULs": TABLE.encode() + bytes(5_000),
    "only NULs": bytes(5_000),
    "Ctrl-Z on top": b"\x1a" + TABLE.encode(),
    "a mixture of line ends": TABLE.replace("Dune\n", "").encode().replace(b"\n", b"\r\r\n\n\r"),
    "only delimiters": b",,,,,,\n" * 1_000,
    "only quotes": b'"' * 10_001,
    "only line ends": b"\r" * 10_000,
    "one letter": b"x",
    "a header and nothing else": HEADER.encode(),
    "a header without its line end": HEADER.strip().encode(),
    "a header of quotes": b'"""""","""",""\n' + TABLE.encode(),
    "one name a thousand times": b"title," * 1_000 + b"external_id\n" + b"x," * 1_000 + b"A1\n",
    "a name of 100,000 letters": b"external_id,title," + b"n" * 100_000 + b"\nA1,Dune,x\n",
    "a name that a spreadsheet runs": b"=cmd,external_id,title\n1,A1,Dune\n",
    "a cell as long as may be": (HEADER + f"A1,Dune,{'x' * 131_072},,,,\n").encode(),
    "a cell longer than may be": (HEADER + f"A1,Dune,{'x' * 131_073},,,,\n").encode(),
    "a line as long as may be": (HEADER + "A1," + "x," * 499_990 + "\n").encode(),
    "a line longer than may be": (HEADER + "A1," + "x" * 2_100_000 + "\n").encode(),
    "16,384 columns": b"external_id,title" + b",x" * 16_382 + b"\nA1,Dune" + b",1" * 16_382 + b"\n",
    "16,385 columns": b"external_id,title" + b",x" * 16_383 + b"\nA1,Dune" + b",1" * 16_383 + b"\n",
    "rows that grow": HEADER.encode() + b"".join(b"A1" + b"," * width + b"\n" for width in range(300)),
    "a quote that opens on each line": HEADER.encode() + b'A1,"Dune\n' * 2_000,
    "a quote that opens in the last cell": TABLE.encode() + b'B1,"',
    "quotes in quotes": HEADER.encode() + b'A1,"a""""b""",,,,,\n' * 100 + b'A2,""a"",,,,,\n',
    "backslashes before quotes": HEADER.encode() + b'"A1","a\\"b\\\\",,,,,\n' * 50 + b'"A2","a\\',
    "single and double quotes": b"'external_id',\"title\"\n'A1',\"Dune\"\n\"A2\",'Ubik'\n",
    "keys that differ in blanks": (HEADER + "A1,x,,,,,\n A1,y,,,,,\nA1 ,z,,,,,\n\u00a0A1,w,,,,,\n").encode(),
    "a key of a thousand letters": (HEADER + "A" * 1_000 + ",Dune,,,,,\n").encode(),
    "keys that are one letter to some": (HEADER + "ı,x,,,,,\nI,y,,,,,\nİ,z,,,,,\né,v,,,,,\ne\u0301,w,,,,,\n").encode(),
}  # fmt: skip


def hostile_files() -> dict[str, bytes]:
    files = dict(BYTES)
    columns = {"number": (NUMBERS, "{n},Dune,,,,{x},\n"), "count": (NUMBERS[:14], "{n},Dune,,,,,{x}\n")}
    columns |= {"day": (DATES, "{n},Dune,,,{x},,\n"), "text": (TEXTS, '{n},"{x}",,,,,\n')}
    for name, (values, row) in columns.items():
        for number, value in enumerate(values):
            rows = TABLE + row.replace("{n}", f"X{number}").replace("{x}", value)
            files[f"{name} {number}: {value[:12]!a}"] = rows.encode()
    for number, top in enumerate(TOPS):
        files[f"top {number}: {top[:12]!a}"] = (top + TABLE).encode()
    return files | dict(islice(_damaged_files(), 220 - len(files)))


def _damaged_files() -> Iterator[tuple[str, bytes]]:
    damages = cycle(["bytes that changed", "bytes that went", "a part twice", "noise"])
    for seed, damage in enumerate(damages):
        random = Random(seed)
        data = bytearray(TABLE.encode(random.choice(["utf-8", "utf-16", "windows-1252"])))
        for _ in range(random.randint(1, 30)):
            place = random.randrange(len(data))
            if damage == "bytes that changed":
                data[place] = random.choice(b"\x00\x1a\r\n,;\"'\\\xff=")
            elif damage == "bytes that went":
                del data[place]
            elif damage == "a part twice":
                data[place:place] = data[place : place + random.randrange(200)]
            else:
                data[place:place] = random.randbytes(random.randrange(20))
        yield f"{damage} {seed}", bytes(data)
