"""pg_dump, pg_restore, pgbench and mariadb-dump through the gateway: the same bytes as past it."""

import hashlib
import os
import subprocess
from pathlib import Path

from house import database, mariadb, postgres
from house.verdict import expect

PORT = 9230
ROWS = 50_000
SUM = "select count(*), sum(hashtext(t::text)) from t"
DIRECT = {"PGPASSWORD": postgres.PASSWORD}
PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/bin"))


def run(stage):
    postgres_copies(stage)
    mariadb_copies(stage)
    return f"{ROWS} rows out and in"


def postgres_copies(stage):
    server = stage.house.postgres
    server.run("create role copier superuser login password '" + database.SECRET + "'")
    for name in ("original", "copy"):
        server.run(f"create database {name}")
    server.run(
        "create table t as select g id, repeat('K', g % 20) k, md5(g::text) h, decode(md5(g::text), 'hex') b "
        f"from generate_series(1, {ROWS}) g", "original",
    )
    name = database.connection(stage.agent(), "copier", "require")
    with database.forward(stage, name, PORT):
        dump = stage.folder / "dump"
        through = ["-h", "127.0.0.1", "-p", str(PORT), "-U", "noop"]
        call(["pg_dump", "-Fc", "-f", dump, *through, "original"], database.variables())
        call(["pg_restore", "-d", "copy", *through, dump], database.variables())
        sums = [server.run(SUM, name).stdout for name in ("original", "copy")]
        expect(sums[0] == sums[1] and str(ROWS) in sums[0], f"checksums {sums}")
        texts = [
            plain(call(["pg_dump", *where, "original"], variables))
            for where, variables in [
                (through, database.variables()),
                (["-h", "127.0.0.1", "-p", str(postgres.PORT), "-U", postgres.OWNER], dict(os.environ, **DIRECT)),
            ]
        ]
        expect(texts[0] == texts[1], "pg_dump says something else through the gateway")
        # Made by the server: a row that the client makes is a packet of its own.
        call(["pgbench", "-i", "-q", "-I", "dtGvp", *through, "copy"], database.variables())
        for mode in ("simple", "extended", "prepared"):
            said = call(["pgbench", "-M", mode, "-c", "10", "-t", "20", *through, "copy"], database.variables())
            expect(b"200/200" in said, f"pgbench {mode}: {said!r}")
    for name in ("original", "copy"):
        server.run(f"drop database {name}")


def mariadb_copies(stage):
    server = stage.keep(mariadb.Mariadb(stage.folder, stage.house.folder))
    for words in (
        "create database original", "create database copy",
        f"create table original.t as select seq id, md5(seq) h, unhex(md5(seq)) b from original.seq_1_to_{ROWS}",
        f"create user copier@'%' identified by '{database.SECRET}'", "grant all on *.* to copier@'%'",
    ):
        server.run(words)
    name = stage.agent().connection(
        "maria-copier", "database", "mysql", command=["mysql"], HOST="127.0.0.1", PORT=str(mariadb.PORT),
        USER="copier", PASS=database.SECRET, SSLMODE="require",
    )
    with database.forward(stage, name, PORT + 1):
        through = ["--no-defaults", "-h127.0.0.1", f"-P{PORT + 1}", "-unoop", "-pnoop", "--skip-ssl"]
        dump = call(["mariadb-dump", *through, "--skip-dump-date", "original"])
        call(["mariadb", *through, "copy"], feed=dump)
        count = "select count(*), bit_xor(crc32(h)), bit_xor(crc32(b)) from"
        sums = [call(["mariadb", *through, "-Ne", f"{count} {name}.t"]) for name in ("original", "copy")]
        expect(sums[0] == sums[1] and str(ROWS).encode() in sums[0], f"checksums {sums}")


def call(words, variables=None, feed=None):
    """What it prints, where it succeeds."""
    program = PROGRAMS / words[0]
    words = [program if program.exists() else words[0], *words[1:]]
    done = subprocess.run(words, env=variables, input=feed, capture_output=True, timeout=150)
    expect(done.returncode == 0, f"{words[0]}: {done.stderr[-400:]!r}")
    return done.stdout


def plain(dump):
    """A digest of a dump, without its random key against injection."""
    lines = [line for line in dump.splitlines() if b"restrict" not in line]
    return hashlib.sha256(b"\n".join(lines)).hexdigest()
