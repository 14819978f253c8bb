"""A user of SQL Server: `tds_client.py DRIVER PORT STATEMENT...`. A line each: its rows as JSON, or `error:` and why.

Who does not get in says so in one line, `no connection:` and why.
"""

import json
import sys

import pymssql
import pytds

driver, port, *statements = sys.argv[1:]
given = {"user": "noop", "password": "noop", "login_timeout": 30, "autocommit": True}
try:
    if driver == "pymssql":
        connection = pymssql.connect(server="127.0.0.1", port=port, tds_version="7.4", **given)
    else:
        connection = pytds.connect(dsn="127.0.0.1", port=int(port), **given)
except (pymssql.Error, pytds.Error, TimeoutError) as error:
    # pymssql has the server's words as bytes.
    said = [word.decode() if isinstance(word, bytes) else str(word) for word in error.args]
    print("no connection:", *said)
    sys.exit(1)
cursor = connection.cursor()
for statement in statements:
    try:
        cursor.execute(statement)
        print(json.dumps([list(row) for row in cursor.fetchall()] if cursor.description else []))
    except (pymssql.Error, pytds.Error) as error:
        print("error:", " ".join(str(error).split()))
