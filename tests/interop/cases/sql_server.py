"""Users of SQL Server are logged in with credentials that they never see, with all encrypted and with the login alone; who can't be hears why, and the gateway's record has the statements."""

from house import database, sql_server
from house.verdict import expect

PORT = 9260
DRIVERS = ["pymssql", "pytds"]
MODES = {
    "all": {}, "by-word": {"ENCRYPT": "mandatory"}, "login-alone": {"ENCRYPT": "optional"},
    "by-name": {"HOST": "localhost"}, "unchecked": {"INSECURE": "true", "SSLROOTCERT": None},
}
REFUSALS = {
    "wrong-password": ({"PASS": "another-secret"}, "Login failed for user"),
    "untrusted": ({"SSLROOTCERT": None}, "not signed by an authority that is trusted here"),
    "other-name": ({"HOST": "127.0.0.2"}, "HOST"),
}
NUMBERS = [[number, f"word {number * number}"] for number in range(20_000)]


def run(stage):
    sql_server.start(stage)
    agent = stage.agent()
    for number, (mode, variables) in enumerate(MODES.items()):
        name = sql_server.connection(stage, agent, mode, **variables)
        with database.forward(stage, name, PORT + number) as tap:
            for driver in DRIVERS:
                talk(driver, PORT + number, mode)
        expect(not any(form in tap.answers() for form in sql_server.disguises(database.SECRET)), f"{mode}: the stored password is told")
        database.recorded(stage, name, ["select 17 as simple", "select id, word from numbers order by id"])
    for number, (what, (variables, text)) in enumerate(REFUSALS.items(), len(MODES)):
        refuse(stage, sql_server.connection(stage, agent, what, **variables), PORT + number, what, text)
    expect(database.SECRET not in agent.program.said(), "the stored password is in the log")
    return f"{len(MODES)} modes, {len(REFUSALS)} refusals" + (", pysqlbridge" if sql_server.is_bridge() else "")


def talk(driver, port, mode):
    if not sql_server.is_bridge():
        write(driver, port, mode)
    one, rows, error, goes_on = sql_server.ask(
        driver, port, "select 17 as simple", "select id, word from numbers order by id", "select id from no_such_table", "select 19",
    )
    expect(one == [[17]] and goes_on == [[19]], f"{mode}, {driver}: {one} {goes_on}")
    expect(rows == NUMBERS, f"{mode}, {driver}: {len(rows)} rows, {str(rows)[:200]}")
    expect(error.startswith("error:") and "no_such_table" in error, f"{mode}, {driver}: {error}")


def write(driver, port, mode):
    """The rows that pysqlbridge has from the beginning."""
    pieces = [NUMBERS[at:at + 500] for at in range(0, len(NUMBERS), 500)]
    inserts = ["insert into numbers values " + ", ".join(f"({id}, '{word}')" for id, word in rows) for rows in pieces]
    said = sql_server.ask(driver, port, "drop table if exists numbers", "create table numbers (id int, word nvarchar(40))", *inserts)
    expect(said == [[]] * len(said), f"{mode}, {driver}: {[line for line in said if line]}")


def refuse(stage, name, port, what, text):
    with database.forward(stage, name, port) as tap:
        for driver in DRIVERS:
            said = sql_server.ask(driver, port, "select 1")
            expect(len(said) == 1 and said[0].startswith("no connection:") and text in said[0], f"{what}, {driver}: {said}")
            expect(tap.client.is_running(), f"{what}: the client has ended")
            expect(database.SECRET not in said[0] and "another-secret" not in said[0], f"{what}: the stored password is told")
