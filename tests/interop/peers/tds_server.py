"""SQL Server's protocol by pysqlbridge: `tds_server.py PORT CERTIFICATE KEY USER PASSWORD FOLDER`. One table: `numbers`."""

import json
import sys
from pathlib import Path

from pysqlbridge import catalog, certificate, logins
from pysqlbridge.server import serve

ROWS = 20_000

port, chain, key, user, password, folder = sys.argv[1:]
table, settings = Path(folder, "numbers.csv"), Path(folder, "tables.json")
table.write_text("id,word\n" + "".join(f"{number},word {number * number}\n" for number in range(ROWS)))
settings.write_text(json.dumps({
    "logins": [{"user": user, "password": password}],
    "tables": [{"name": "numbers", "csv": str(table)}],
}))
# All of loopback, for a certificate that does not fit the address.
serve("0.0.0.0", int(port), certificate.load(chain, key), catalog.load(settings).answer, logins=logins.load(settings))
