"""PyMongo through the gateway, natively, plain and over TLS, by both mechanisms, with credentials that the user never has."""

from house import database, mongo
from house.verdict import expect

PORT = 9290
MECHANISMS = ["SCRAM-SHA-1", "SCRAM-SHA-256"]


def run(stage):
    server = stage.keep(mongo.Mongo(stage.folder, stage.house.folder))
    server.user("served")
    for mechanism in MECHANISMS:
        server.user(mechanism, mechanism)
    agent = stage.agent()
    secure = f"&tls=true&tlsCAFile={stage.house.folder / 'ca.crt'}"
    several = mongo.string("served").replace("localhost:", "localhost:1,localhost:")
    ways = [
        ("plain", "served", mongo.string("served")),
        ("secure", "served", mongo.string("served", mongo.SECURE_PORT, secure)),
        ("sha-1", MECHANISMS[0], mongo.string(MECHANISMS[0])),
        ("sha-256", MECHANISMS[1], mongo.string(MECHANISMS[1], mongo.SECURE_PORT, secure)),
        ("several", "served", several),
    ]
    for number, (name, user, string) in enumerate(ways):
        port = PORT + number
        connection = mongo.connection(agent, name, string)
        with database.forward(stage, connection, port):
            mongo.works(mongo.through(port), "work", user)
            # The client's mechanism is a matter between it and the agent.
            for mechanism in MECHANISMS:
                mongo.works(mongo.through(port, f"&authMechanism={mechanism}"), "once")
        database.recorded(stage, connection, ["insert", "getMore", "seen in the record"])
    expect(database.SECRET not in agent.program.said(), "the stored password is in the log")
    return f"{len(ways)} ways"
